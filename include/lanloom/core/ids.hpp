// SPDX-License-Identifier: Apache-2.0
// ids.hpp - how the parts of core name each other: by number, never by pointer. A stale id looks up nothing.
#pragma once

#include <compare>
#include <cstdint>

namespace lanloom::core {

// Position of a peer in the configuration.
struct peer_id {
  std::uint16_t value = 0;
  auto operator<=>(const peer_id&) const = default;
};

// The receiver index of a session on the wire: the low bits are its place in the session table, the rest is random, so
// an old one finds nothing. 0 is never given out.
struct session_id {
  std::uint32_t value = 0;
  [[nodiscard]] explicit operator bool() const noexcept { return value != 0; }
  auto operator<=>(const session_id&) const = default;
};

}  // namespace lanloom::core
