// SPDX-License-Identifier: Apache-2.0
// control_group.hpp - who, beside root, may ask an instance for its status.
#pragma once

#include <lanloom/app/log.hpp>

#include <grp.h>
#include <sys/types.h>

#include <array>
#include <string>

namespace lanloom::app {

// Of the group that [control] names; 0 where there is none: the control socket is root's then.
inline gid_t control_gid(const std::string& group) {
  std::array<char, 16384> room;
  ::group entry{};
  ::group* found = nullptr;
  ::getgrnam_r(group.c_str(), &entry, room.data(), room.size(), &found);
  if (found != nullptr) return found->gr_gid;
  if (group != "lanloom") {  // hosts without it need no warning
    spdlog::warn("[control] group = \"{}\": there is no such group; only root may ask for status", group);
  }
  return 0;
}

}  // namespace lanloom::app
