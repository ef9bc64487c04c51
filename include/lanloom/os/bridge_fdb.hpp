// SPDX-License-Identifier: Apache-2.0
// bridge_fdb.hpp - which MAC address a Linux bridge of the caller's network namespace has learned at which port.
//
// One question to rtnetlink and its answer. Without what is permanent: the ports' own addresses. At most
// `most_fdb_entries`. Needs no right. Errors: std::system_error. Used by doctor.
#pragma once

#include <lanloom/os/netlink.hpp>

#include <vector>

namespace lanloom::os {

inline constexpr std::size_t most_fdb_entries = 65536;

struct learned_mac {
  mac_address mac{};
  int port = 0;  // index of the link
  bool operator==(const learned_mac&) const = default;
};

[[nodiscard]] std::vector<learned_mac> learned_by_bridge(int bridge_index);

}  // namespace lanloom::os
