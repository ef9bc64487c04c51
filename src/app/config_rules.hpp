// SPDX-License-Identifier: Apache-2.0
// config_rules.hpp - what must hold between the values of one configuration. Each broken rule is one sentence, placed
// at the value to correct. Nothing here asks the kernel.
#pragma once

#include "problem_list.hpp"

#include <lanloom/app/config.hpp>

namespace lanloom::app {

void check_rules(const config& c, problem_list& problems);

}  // namespace lanloom::app
