// SPDX-License-Identifier: Apache-2.0
// joined.hpp - several sentences as one: "a; b".
#pragma once

#include <string>
#include <vector>

namespace lanloom::app {

inline std::string joined(const std::vector<std::string>& sentences) {
  std::string text;
  for (const auto& one : sentences) text += (text.empty() ? "" : "; ") + one;
  return text;
}

}  // namespace lanloom::app
