// SPDX-License-Identifier: Apache-2.0
// nft.hpp - nftables rules by way of the program nft, in the caller's network namespace.
//
// 1. Text goes to `nft -f -` without a shell, with an environment of our own, in its own process group (a Ctrl-C for us
//    does not stop it half-way). What it applies is one transaction: all or nothing.
// 2. It has 10 seconds, then it is killed; no child is left behind.
// Errors: nft_refused with nft's own words (at most 4 KiB); std::system_error with ENOENT where nft is not installed,
// ETIMEDOUT after 10 seconds. Used by the keeper.
#pragma once

#include <stdexcept>
#include <string_view>

namespace lanloom::os {

class nft_refused : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Installed in /usr/sbin, /sbin, /usr/bin or /bin.
[[nodiscard]] bool nft_present() noexcept;

void nft_apply(std::string_view ruleset);

// Tables of family inet. Names are letters, digits, '-' and '_', starting with a letter; EINVAL otherwise.
[[nodiscard]] bool nft_table_exists(std::string_view name);  // asks the kernel, works without nft
void nft_delete_table(std::string_view name);                // nothing happens when there is none

}  // namespace lanloom::os
