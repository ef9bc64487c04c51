// SPDX-License-Identifier: Apache-2.0
// log.hpp - one logger for the process: lines on stderr, with journald priorities where journald listens.
//
// Results go to stdout, logs never do. Secrets have no formatter (crypto/keys.hpp), so they cannot be logged.
#pragma once

#include <lanloom/app/config.hpp>

#include <spdlog/spdlog.h>

#include <string_view>

namespace lanloom::app {

// -v and -q of the command line; they win over [log] level.
enum class verbosity : std::uint8_t { as_configured, verbose, quiet };

// `who` stands in front of every line: the instance.
void configure_log(log_level configured, verbosity asked, std::string_view who);

}  // namespace lanloom::app
