// SPDX-License-Identifier: Apache-2.0
// address_probe.hpp - asks an Ethernet who has an address: ARP probes (RFC 5227 2.1.1) and neighbour solicitations
// from the unspecified address (RFC 4862 5.4), which change nobody's tables.
//
// 1. Asked twice, a third of the time apart; the last third is for answers. At most `most_addresses` are asked for.
// 2. What comes in is hostile: fixed sizes, nothing is kept but an asked address and a MAC, at most `most_answers`.
// Needs CAP_NET_RAW. Errors: std::system_error. Used by doctor, in the caller's network namespace.
#pragma once

#include <lanloom/base/bytes.hpp>
#include <lanloom/base/ip_prefix.hpp>
#include <lanloom/os/netlink.hpp>

#include <chrono>
#include <compare>
#include <optional>
#include <span>
#include <vector>

namespace lanloom::os {

inline constexpr std::size_t most_addresses = 256;
inline constexpr std::size_t most_answers = 256;

struct address_claim {
  ip_address address;
  mac_address mac{};  // of who says so
  auto operator<=>(const address_claim&) const = default;
};

// Who claims which address by this frame. A probe of somebody else for the same address is a claim, too.
[[nodiscard]] std::optional<address_claim> claim_in(bytes_view frame);

// Who answers behind the link, which has the MAC `own`: each pair once, sorted.
[[nodiscard]] std::vector<address_claim> probe_addresses(int link_index, const mac_address& own,
                                                         std::span<const ip_address> addresses,
                                                         std::chrono::milliseconds patience);

}  // namespace lanloom::os
