// SPDX-License-Identifier: Apache-2.0
// mac_text.hpp - MAC address <-> "02:1f:9a:00:5c:e7", lower case, as ip-link(8) writes it.
#pragma once

#include <lanloom/os/netlink.hpp>

#include <optional>
#include <string>
#include <string_view>

namespace lanloom::app {

[[nodiscard]] std::string format_mac(const os::mac_address& mac);
[[nodiscard]] std::optional<os::mac_address> parse_mac(std::string_view text);  // nothing on any other form

}  // namespace lanloom::app
