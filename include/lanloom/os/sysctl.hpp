// SPDX-License-Identifier: Apache-2.0
// sysctl.hpp - kernel settings. A key is the path below /proc/sys, because interface names may contain dots:
// "net/ipv4/conf/eth0.5/forwarding".
//
// Keys below net/ are those of the caller's network namespace (see in_netns). A key with a component that is empty,
// "." or ".." is EINVAL. Errors: std::system_error naming the key. Used by the keeper.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace lanloom::os {

// Without the final newline. Nothing when there is no such key, or it was never set (stable_secret).
[[nodiscard]] std::optional<std::string> read_sysctl(std::string_view key);

// ENOENT when there is no such key.
void write_sysctl(std::string_view key, std::string_view value);

// The readable keys below a directory ("net/ipv4/conf"), sorted; with `leaf` only those that end in it ("forwarding").
[[nodiscard]] std::vector<std::string> list_sysctls(std::string_view directory, std::string_view leaf = {});

}  // namespace lanloom::os
