// SPDX-License-Identifier: Apache-2.0
// config_error.hpp - everything that is wrong with a configuration file, found in one pass.
//
// Each problem is one sentence with its place: "lan.toml:4:1: what is wrong, what to do". what() is all of them, one
// per line, in the order of the file. Thrown by parse_config, load_config and load_keys; the commands end with exit
// code 3.
#pragma once

#include <cstdint>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <vector>

namespace lanloom::app {

// A place in a file, counted from 1. Line 0 stands for the file as a whole.
struct position {
  std::uint32_t line = 1;
  std::uint32_t column = 1;
  auto operator<=>(const position&) const = default;
};

struct problem {
  std::filesystem::path file;
  std::uint32_t line = 1;
  std::uint32_t column = 1;
  std::string message;
};

// "file:line:column: message"; "file: message" for line 0.
[[nodiscard]] std::string to_string(const problem& p);

struct config_error : std::runtime_error {
  explicit config_error(std::vector<problem> found);  // sorted here by position; never empty
  std::vector<problem> problems;
};

}  // namespace lanloom::app
