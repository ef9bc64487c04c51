// SPDX-License-Identifier: Apache-2.0
// candidates.hpp - the addresses at which a peer may be, and in which order they are called. Pure. PROTOCOL.md 5.6.
//
// Invariants: (1) at most `most`, none twice; (2) IPv4 and IPv6 alternate as long as there are both, so that a family
// that does not work here costs one step and not all of its addresses. Owner: node's peer. Goes between the processes
// as it is in memory.
#pragma once

#include <lanloom/base/endpoint.hpp>

#include <chrono>
#include <span>

namespace lanloom::core {

class candidates {
 public:
  static constexpr std::size_t most = 8;
  static constexpr std::chrono::milliseconds stagger{250};  // between the calls of one round: RFC 8305

  candidates() = default;
  // One address is a list, too.
  candidates(const endpoint& one) noexcept { add(one); }
  candidates(const std::optional<endpoint>& one) noexcept {
    if (one) add(*one);
  }
  // In the order of preference; the first decides which family begins. What is beyond `most` is left out.
  explicit candidates(std::span<const endpoint> found) noexcept;

  [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
  [[nodiscard]] std::span<const endpoint> all() const noexcept { return std::span(all_).first(size_); }
  [[nodiscard]] bool has(const endpoint& one) const noexcept;

  // The call number `turn` of a round: first `known`, where the peer was last, then the others.
  // REQUIRES `known` or a candidate.
  struct call {
    endpoint to;
    bool last;  // of the round
  };
  [[nodiscard]] call at(std::size_t turn, const std::optional<endpoint>& known) const noexcept;

  bool operator==(const candidates&) const = default;

 private:
  void add(const endpoint& one) noexcept;

  std::array<endpoint, most> all_{};
  std::size_t size_ = 0;
};

}  // namespace lanloom::core
