// SPDX-License-Identifier: Apache-2.0
// commands.hpp - what the command line can ask for besides `up`. Each returns the exit status and writes results to
// stdout.
//
// `word` is the CONFIG|INSTANCE argument; empty means the only running instance.
// Errors: usage_error (2), config_error (3), permission_error (4), not_running (5), anything else derived from
// std::exception (1).
#pragma once

#include <filesystem>
#include <optional>
#include <stdexcept>
#include <string>

namespace lanloom::app {

struct usage_error : std::runtime_error {
  using std::runtime_error::runtime_error;
};

[[nodiscard]] int check(const std::string& word);

// Filters as in wg(8). With a file, genkey writes the key there (mode 0600, must not exist) and prints the public key.
[[nodiscard]] int genkey(const std::optional<std::filesystem::path>& file);
[[nodiscard]] int pubkey();
[[nodiscard]] int genpsk();

struct status_options {
  bool json = false;
  bool watch = false;
  std::optional<unsigned> wait_seconds;  // also for the instance itself to appear
};
[[nodiscard]] int status(const std::string& word, const status_options& options);
[[nodiscard]] int fdb(const std::string& word, bool json);

// Checks the file of a running instance, has its keeper apply it, and waits for the outcome.
[[nodiscard]] int reload(const std::string& word);

// Stops the instance if it runs, then removes what it left. Idempotent. What it did is said on stderr.
[[nodiscard]] int down(const std::string& word, bool force);

}  // namespace lanloom::app
