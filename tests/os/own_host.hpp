// SPDX-License-Identifier: Apache-2.0
// own_host.hpp - runs a test's body on a "host" of its own: a child process with its own network, mounts and /run.
//
// The kernel undoes everything with the child, however it ends. CHECK and REQUIRE work inside; the test case fails with
// them, with an exception, after 60 seconds, or when a descriptor or child process is left. Without the right to make
// namespaces the case says that it is skipped.
#pragma once

#include <functional>
#include <string>

namespace lanloom::os {

void on_own_host(const std::function<void()>& body);

// what() of the std::exception that `action` throws; empty when it throws nothing.
std::string refusal(const std::function<void()>& action);

// What a shell command printed.
std::string output_of(const std::string& command);

}  // namespace lanloom::os
