// SPDX-License-Identifier: Apache-2.0
// nft.hpp - nftables rules by way of the program nft, in the caller's network namespace.
//
// 1. Text goes to `nft -f -`, run as program.hpp says. What it applies is one transaction: all or nothing.
// 2. What nft prints is compared with what it printed before, never parsed.
// Errors: nft_refused with nft's own words (at most 4 KiB); std::system_error with ENOENT where nft is not installed,
// ETIMEDOUT after 10 seconds. Used by the keeper.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

namespace lanloom::os {

class nft_refused : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Installed in /usr/sbin, /sbin, /usr/bin or /bin.
[[nodiscard]] bool nft_present();

void nft_apply(std::string_view ruleset);

// Tables of family inet. Names are letters, digits, '-' and '_', starting with a letter; EINVAL otherwise.
[[nodiscard]] bool nft_table_exists(std::string_view name);  // asks the kernel, works without nft
// As `nft -s list table` prints it, without counters' values and handles; empty when there is none.
[[nodiscard]] std::string nft_list_table(std::string_view name);
void nft_delete_table(std::string_view name);  // nothing happens when there is none

}  // namespace lanloom::os
