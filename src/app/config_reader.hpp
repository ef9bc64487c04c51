// SPDX-License-Identifier: Apache-2.0
// config_reader.hpp - TOML text -> the fields of a config, in the order of the file's tables. Knows toml++; no rules
// between values (config_rules.hpp).
#pragma once

#include "problem_list.hpp"

#include <lanloom/app/config.hpp>

#include <string_view>

namespace lanloom::app {

// Fills what the text says into `into`, which holds the defaults, and its source_map. What cannot be read is added to
// `problems` and leaves the default. `into.file` is set already.
void read_config(std::string_view text, config& into, problem_list& problems);

}  // namespace lanloom::app
