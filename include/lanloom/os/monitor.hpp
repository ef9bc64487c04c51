// SPDX-License-Identifier: Apache-2.0
// monitor.hpp - the kernel's word that something changed: links, addresses, routes, forwarding and nftables tables of
// the network namespace it was made in.
//
// 1. It only says that it is worth to look again; what changed is asked of the kernel (netlink.hpp, nft.hpp).
// 2. Nothing is missed: what overran the socket or is not understood counts as a change.
// 3. A call reads at most 256 messages and never waits. More stay readable.
// 4. Only the kernel is believed: messages from other processes count for nothing.
// Errors: std::system_error. Owned by the keeper, read from its loop.
#pragma once

#include <lanloom/os/unique_fd.hpp>

#include <string_view>

namespace lanloom::os {

// What messages of nftables were about.
struct nft_change {
  bool named = false;   // a table of any family whose name begins as asked, or something in it
  bool filter = false;  // the same of the table `filter` of ip or ip6, where iptables has its rules (but not its older
                        // kind, of which the kernel tells nothing)
};

class monitor {
 public:
  monitor();

  [[nodiscard]] int route_fd() const noexcept { return route_.get(); }
  [[nodiscard]] int nft_fd() const noexcept { return nft_.get(); }

  // True: a link, address, route or forwarding setting has changed since the last call.
  [[nodiscard]] bool drain_route();
  // Since the last call.
  [[nodiscard]] nft_change drain_nft(std::string_view table_prefix);

 private:
  unique_fd route_;
  unique_fd nft_;
};

}  // namespace lanloom::os
