// SPDX-License-Identifier: Apache-2.0
// runs.hpp - the segments of trains that one batch of datagrams brought, put together to as few packets as they make.
//
// Consecutive segments of one train are one run, and a run is one write to the TAP. So are single UDP packets that
// follow one another, to one host, as the kernel would cut them from one: a joined run. Nothing waits: after each
// batch, and before anything else of that batch is delivered, all is taken. So there is no flow table, no timer and
// nothing to exhaust.
// Invariants: (1) at most `capacity` segments, memory taken at construction; (2) segments of a run have one session and
// consecutive counters, and either consecutive indices and the same gso, ecn, count, headers and segment size, or they
// are whole packets, and cutting their run gives each of them back, byte for byte; (3) runs come in the order of
// counters, per session; who pushes takes all before the segments of a peer's next session.
// Owner: lane. Segments borrow the batch. Spec: PROTOCOL.md 4.2.
#pragma once

#include <lanloom/base/drop.hpp>
#include <lanloom/core/ids.hpp>
#include <lanloom/core/outbox.hpp>
#include <lanloom/wire/record.hpp>

#include <vector>

namespace lanloom::core {

class runs {
 public:
  static constexpr std::size_t capacity = 512;

  struct segment {
    session_id session;
    peer_id peer;
    std::uint64_t counter;
    wire::train_view view;
    wire::packet packet;
    std::size_t size;  // of the segments of its train but the last
  };
  using run = std::span<const segment>;

  // Frames that went into the other end's TAP to make this run.
  [[nodiscard]] static std::size_t frames_of(run of) noexcept { return of.front().view.count == 1 ? of.size() : 1; }

  runs() { segments_.reserve(capacity); }

  [[nodiscard]] bool empty() const noexcept { return segments_.empty(); }
  [[nodiscard]] bool full() const noexcept { return segments_.size() == capacity; }
  void push(const segment& one) noexcept { segments_.push_back(one); }  // REQUIRES !full()
  // The packet of headers equal to these, if the last segment pushed has such.
  [[nodiscard]] const wire::packet* known(const wire::train_view& view) const noexcept;

  // Calls take(run) for each run, and forgets all.
  template <class Take>
  void take_all(Take&& take) noexcept {
    sort();
    for (std::size_t from = 0; from < segments_.size();) {
      const std::size_t size = run_at(from);
      take(run(segments_).subspan(from, size));
      from += size;
    }
    segments_.clear();
  }

 private:
  void sort() noexcept;
  [[nodiscard]] std::size_t run_at(std::size_t from) const noexcept;

  std::vector<segment> segments_;
};

// Hands a run to the TAP, as one frame where it takes such, else cut and completed. Headers that change, and frames
// that had to be completed, are kept in the outbox; payloads stay where they are. outbox_full: the rest of it was lost.
drop write_run(runs::run run, const tap_offloads& tap, outbox& out) noexcept;

}  // namespace lanloom::core
