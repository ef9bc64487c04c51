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

class monitor {
 public:
  monitor();

  [[nodiscard]] int route_fd() const noexcept { return route_.get(); }
  [[nodiscard]] int nft_fd() const noexcept { return nft_.get(); }

  // True: a link, address, route or forwarding setting has changed since the last call.
  [[nodiscard]] bool drain_route();
  // True: a table of any family whose name begins so, or something in it, has changed since the last call.
  [[nodiscard]] bool drain_nft(std::string_view table_prefix);

 private:
  unique_fd route_;
  unique_fd nft_;
};

}  // namespace lanloom::os
