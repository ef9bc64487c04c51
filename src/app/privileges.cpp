// SPDX-License-Identifier: Apache-2.0
#include "privileges.hpp"

#include <lanloom/app/doctor_checks.hpp>
#include <lanloom/app/host.hpp>
#include <lanloom/os/sandbox.hpp>

#include <spdlog/spdlog.h>

#include <fstream>

namespace lanloom::app {

namespace {
std::uint64_t effective_capabilities() {
  constexpr std::string_view wanted = "CapEff:";
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.rfind(wanted, 0) == 0) return std::stoull(line.substr(wanted.size()), nullptr, 16);
  }
  throw setup_error("/proc/self/status does not say what this process may do; mount /proc");
}
}  // namespace

std::string name_of(capability c) {
  switch (c) {
    case capability::kill:
      return "CAP_KILL";
    case capability::setgid:
      return "CAP_SETGID";
    case capability::setuid:
      return "CAP_SETUID";
    case capability::setpcap:
      return "CAP_SETPCAP";
    case capability::net_admin:
      return "CAP_NET_ADMIN";
    case capability::net_raw:
      return "CAP_NET_RAW";
    case capability::sys_admin:
      return "CAP_SYS_ADMIN";
  }
  return "a capability";
}

bool may(capability c) { return (effective_capabilities() >> static_cast<unsigned>(c) & 1U) != 0; }

void require(capability c, const char* what_for) {
  if (may(c)) return;
  throw permission_error(std::string(what_for) + ": needs " + name_of(c) + "; run it as root");
}

void prepare_to_hold_keys() {
  for (const auto right :
       {capability::net_admin, capability::setuid, capability::setgid, capability::setpcap, capability::kill}) {
    require(right, "`lanloom up`");
  }
  if (!os::protect_memory()) {
    spdlog::warn(
        "memory cannot be locked, so keys may reach swap; raise the limit: LimitMEMLOCK=infinity in the unit, or "
        "ulimit -l unlimited");
  }
  const finding user = judge_node_user(os::find_identity());
  if (user.result == finding::verdict::warn) spdlog::warn("{}; cure: {}", user.what, user.cure);
}

}  // namespace lanloom::app
