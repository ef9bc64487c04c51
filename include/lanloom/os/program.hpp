// SPDX-License-Identifier: Apache-2.0
// program.hpp - one run of another program (nft, iptables, ovs-vsctl) in the caller's network namespace.
//
// 1. Programs are looked for in /usr/sbin, /sbin, /usr/bin and /bin only. No shell, an environment of our own (PATH and
//    LC_ALL=C), no descriptor but the three, its own process group (a Ctrl-C for us does not stop it half-way).
// 2. When a call returns or throws, the program and whatever it left in its group are gone.
// 3. Nothing that it says grows without bound: 1 MiB on stdout, more is EMSGSIZE (half an answer could be taken for a
//    whole one); of stderr the first 4 KiB are kept.
// Errors: std::system_error naming the program: ENOENT not found, ETIMEDOUT, EMSGSIZE. Used by the keeper (one thread).
#pragma once

#include <chrono>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace lanloom::os {

struct program_result {
  int status = 0;      // what it ended with; 128 + the signal that ended it
  std::string output;  // stdout
  std::string errors;  // stderr, without newlines at the end
};

// Its path. A name is one path component.
[[nodiscard]] std::optional<std::string> find_program(std::string_view name);

// `input` is its stdin, `settings` ("NAME=value") are added to its environment.
[[nodiscard]] program_result run_program(const char* name, std::span<const std::string> arguments,
                                         std::string_view input = {},
                                         std::chrono::milliseconds patience = std::chrono::seconds(10),
                                         std::span<const std::string> settings = {});

}  // namespace lanloom::os
