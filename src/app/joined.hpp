// SPDX-License-Identifier: Apache-2.0
// joined.hpp - several sentences or words as one: "a; b".
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace lanloom::app {

inline std::string joined(const std::vector<std::string>& parts, std::string_view between = "; ") {
  std::string text;
  for (const auto& one : parts) text.append(text.empty() ? "" : between).append(one);
  return text;
}

}  // namespace lanloom::app
