// SPDX-License-Identifier: Apache-2.0
// toml_text.hpp - what is refused before the TOML parser sees it, because toml++ 3.3 does not survive it.
//
// 1. Long lines: a dotted key nests once per dot, and nested tables are destroyed by recursion.
// 2. Characters beyond ASCII outside comments and one-line strings that stand alone: its search for white space runs
//    into __builtin_unreachable on some of them.
#pragma once

#include <lanloom/app/config_error.hpp>

#include <optional>
#include <string>
#include <string_view>

namespace lanloom::app {

struct refused_text {
  position at;
  std::string message;
};

// The first such place; nothing if the parser may have the text. Exact up to the first error of syntax, which is as far
// as the parser reads.
[[nodiscard]] std::optional<refused_text> refuse_text(std::string_view text);

}  // namespace lanloom::app
