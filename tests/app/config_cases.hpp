// SPDX-License-Identifier: Apache-2.0
// config_cases.hpp - tables of configuration texts and the whole text that `lanloom check` prints for each.
#pragma once

#include <lanloom/app/config.hpp>

#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <vector>

namespace lanloom::app::config_cases {

inline constexpr std::string_view node = "[node]\nprivate_key = \"lan.key\"\n";
inline constexpr std::string_view beta_key = "beta/replace/with/its/public/key/0000000000=";
inline constexpr std::string_view gamma_key = "gamma/replace/with/its/public/key/000000000=";

inline config parse(std::string_view text) { return parse_config(text, "lan.toml", "alpha"); }

// What check prints; empty if the text is accepted.
inline std::string refusal(std::string_view text) {
  try {
    (void)parse(text);
  } catch (const config_error& e) {
    return e.what();
  }
  return {};
}

inline std::string peer(std::string_view name, std::string_view key, std::string_view more = {}) {
  return "[[peer]]\nname = \"" + std::string(name) + "\"\npublic_key = \"" + std::string(key) + "\"\n" +
         std::string(more);
}

struct refused {
  std::string text;  // the lines after [node] and private_key, so its first line is line 3
  std::string problems;
};

inline void check_all(const std::vector<refused>& cases) {
  for (const auto& c : cases) {
    CAPTURE(c.text);
    CHECK(refusal(std::string(node) + c.text) == c.problems);
  }
}

}  // namespace lanloom::app::config_cases
