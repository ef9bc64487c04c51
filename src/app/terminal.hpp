// SPDX-License-Identifier: Apache-2.0
// terminal.hpp - how the caller wants to be told.
#pragma once

#include <unistd.h>

#include <cstdlib>

namespace lanloom::app {

inline bool colour_wanted() {
  const char* refused = std::getenv("NO_COLOR");
  return ::isatty(STDOUT_FILENO) == 1 && (refused == nullptr || *refused == '\0');
}

}  // namespace lanloom::app
