// SPDX-License-Identifier: Apache-2.0
#include <lanloom/app/log.hpp>

#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <memory>
#include <string>

namespace lanloom::app {

namespace {
// "<6>": the syslog priority that journald takes from the start of a line.
class journald_priority : public spdlog::custom_flag_formatter {
 public:
  void format(const spdlog::details::log_msg& message, const std::tm&, spdlog::memory_buf_t& out) override {
    std::string_view text = "<6>";
    if (message.level >= spdlog::level::err) text = "<3>";
    if (message.level == spdlog::level::warn) text = "<4>";
    if (message.level <= spdlog::level::debug) text = "<7>";
    out.append(text.data(), text.data() + text.size());
  }
  [[nodiscard]] std::unique_ptr<custom_flag_formatter> clone() const override {
    return spdlog::details::make_unique<journald_priority>();
  }
};

// The variable is inherited by whatever a service starts, also by those whose stderr is another file.
bool journald_listens() {
  const char* named = std::getenv("JOURNAL_STREAM");
  struct stat stream {};
  if (named == nullptr || ::fstat(STDERR_FILENO, &stream) != 0) return false;
  return named == std::to_string(stream.st_dev) + ":" + std::to_string(stream.st_ino);
}

spdlog::level::level_enum to_spdlog(log_level level) {
  switch (level) {
    case log_level::error:
      return spdlog::level::err;
    case log_level::warning:
      return spdlog::level::warn;
    case log_level::info:
      return spdlog::level::info;
    case log_level::debug:
      return spdlog::level::debug;
  }
  return spdlog::level::info;
}
}  // namespace

void configure_log(log_level configured, verbosity asked, std::string_view who) {
  const bool journald = journald_listens();
  const char* refused = std::getenv("NO_COLOR");
  const bool colour = ::isatty(STDERR_FILENO) == 1 && (refused == nullptr || *refused == '\0') && !journald;
  spdlog::sink_ptr sink;
  if (colour) {
    sink = std::make_shared<spdlog::sinks::stderr_color_sink_st>();
  } else {
    sink = std::make_shared<spdlog::sinks::stderr_sink_st>();
  }
  auto logger = std::make_shared<spdlog::logger>(std::string(who), std::move(sink));
  auto formatter = std::make_unique<spdlog::pattern_formatter>();
  formatter->add_flag<journald_priority>('*');
  formatter->set_pattern(journald ? "%*%n: %v" : "%H:%M:%S %^%l%$ %n: %v");
  logger->set_formatter(std::move(formatter));
  switch (asked) {
    case verbosity::as_configured:
      logger->set_level(to_spdlog(configured));
      break;
    case verbosity::verbose:
      logger->set_level(spdlog::level::debug);
      break;
    case verbosity::quiet:
      logger->set_level(spdlog::level::err);
      break;
  }
  spdlog::set_default_logger(std::move(logger));
}

}  // namespace lanloom::app
