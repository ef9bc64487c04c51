// SPDX-License-Identifier: Apache-2.0
// privileges.hpp - asks what this process may do before it tries, and what others may do to it. Errors:
// permission_error with the cure.
#pragma once

#include <cstdint>
#include <string>

namespace lanloom::app {

// Values of linux/capability.h.
enum class capability : std::uint8_t {
  kill = 5,
  setgid = 6,
  setuid = 7,
  setpcap = 8,
  net_admin = 12,
  net_raw = 13,
  sys_admin = 21
};

[[nodiscard]] bool may(capability c);
[[nodiscard]] std::string name_of(capability c);  // "CAP_NET_ADMIN"

// `what_for` completes "...: needs CAP_NET_ADMIN; run it as root".
void require(capability c, const char* what_for);

// At the start of `lanloom up`: requires what it needs, protects this process's memory, and warns of what leaves keys or
// the node open to others.
void prepare_to_hold_keys();

}  // namespace lanloom::app
