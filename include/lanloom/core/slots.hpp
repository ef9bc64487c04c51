// SPDX-License-Identifier: Apache-2.0
// slots.hpp - which of a peer's sessions sends: the places previous, current and next, and how sessions move through
// them.
//
// We receive under all three and send under current only. The rules make two handshakes that cross end on one common
// session at both ends, in whatever order the four messages arrive and whichever are lost (tests/sim explores them
// all). Pure: knows ids and birth, not keys. What falls out of the places is returned, to be retired. Spec:
// PROTOCOL.md 5.
#pragma once

#include <lanloom/base/clock.hpp>
#include <lanloom/core/ids.hpp>
#include <lanloom/crypto/keys.hpp>

#include <optional>

namespace lanloom::core {

class slots {
 public:
  static constexpr std::chrono::seconds crossing{5};

  struct entry {
    session_id id;
    crypto::public_key initiator;
    std::uint64_t boot_id;  // the peer's, from the handshake
    time_point born;
  };

  // Sessions that lost their place; an id of 0 is none.
  class retired {
   public:
    void add(const std::optional<entry>& e) noexcept {
      if (e) ids_[count_++] = e->id;
    }
    [[nodiscard]] std::span<const session_id> ids() const noexcept { return {ids_.data(), count_}; }

   private:
    std::array<session_id, 4> ids_{};
    std::size_t count_ = 0;
  };

  // A handshake that we answered; not yet confirmed.
  [[nodiscard]] retired add_as_responder(const entry& made) noexcept;
  // A handshake that we began is complete; its session is confirmed. `theirs`: the session that the peer sends under,
  // if it is not ours; it may go on so until it hears from us.
  [[nodiscard]] retired add_as_initiator(const entry& made, session_id theirs) noexcept;
  // The first authenticated datagram came under next.
  [[nodiscard]] retired confirm_next() noexcept;
  // Drops what is `max_age` old or more.
  [[nodiscard]] retired expire(time_point now, duration max_age) noexcept;
  // The peer said goodbye under `id`: all sessions with that boot of it end, those with a later one stay.
  [[nodiscard]] retired end_boot_of(session_id id) noexcept;

  [[nodiscard]] const std::optional<entry>& previous() const noexcept { return previous_; }
  [[nodiscard]] const std::optional<entry>& current() const noexcept { return current_; }
  [[nodiscard]] const std::optional<entry>& next() const noexcept { return next_; }

 private:
  void drop_other_boots(std::uint64_t boot_id, retired& out) noexcept;

  std::optional<entry> previous_;
  std::optional<entry> current_;
  std::optional<entry> next_;
};

}  // namespace lanloom::core
