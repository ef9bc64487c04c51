// SPDX-License-Identifier: Apache-2.0
// attach.hpp - `lanloom attach` and `detach`: wire any network namespace to a running instance's bridge.
//
// Done by the command itself, with its caller's rights: under the journal's lock it writes its line, then makes the
// veth pair. The keeper reads the line before each of its passes, so what is attached is part of its plan, over reloads
// and crashes; it goes with `detach`, with `down`, or with its namespace. Errors: usage_error, not_running,
// permission_error, std::exception.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace lanloom::app {

struct attach_options {
  std::string instance;
  std::string netns;  // a name, or a path such as /proc/PID/ns/net
  std::string interface = "eth0";
  std::vector<std::string> addresses;
  std::vector<std::string> gateways;
};

[[nodiscard]] int attach(const attach_options& options);
[[nodiscard]] int detach(const std::string& instance, const std::string& netns);

}  // namespace lanloom::app
