// SPDX-License-Identifier: Apache-2.0
#include "os/in_child.hpp"

#include <doctest/doctest.h>
#include <lanloom/app/log.hpp>

#include <sys/stat.h>

#include <cstdlib>
#include <sstream>
#include <vector>

using namespace lanloom::app;
using namespace lanloom::os::test;

namespace {

struct lines {
  std::vector<std::string> on_stderr;
  std::string on_stdout;
  std::string outcome;
};

std::string drain(int fd) {
  std::string all;
  std::array<char, 4096> part;
  for (ssize_t n = 0; (n = ::read(fd, part.data(), part.size())) > 0;)
    all.append(part.data(), static_cast<std::size_t>(n));
  return all;
}

enum class journal : std::uint8_t { none, stderr_stream, another_stream };

// What a process with this log says when it says one thing on each level.
lines say_all(log_level configured, verbosity asked, journal listens) {
  auto [from_err, to_err] = make_pipe();
  auto [from_out, to_out] = make_pipe();
  lines seen;
  const int out = to_out.get();
  const int err = to_err.get();
  seen.outcome = in_child([=] {
    ::dup2(out, STDOUT_FILENO);
    ::dup2(err, STDERR_FILENO);
    ::unsetenv("JOURNAL_STREAM");
    struct stat stream {};
    ::fstat(STDERR_FILENO, &stream);
    const ino_t file = listens == journal::stderr_stream ? stream.st_ino : stream.st_ino + 1;
    const std::string named = std::to_string(stream.st_dev) + ":" + std::to_string(file);
    if (listens != journal::none) ::setenv("JOURNAL_STREAM", named.c_str(), 1);
    configure_log(configured, asked, "lan");
    spdlog::error("an error");
    spdlog::warn("a warning");
    spdlog::info("news");
    spdlog::debug("a detail");
    spdlog::default_logger()->flush();
  });
  to_err.reset();
  to_out.reset();
  std::istringstream text(drain(from_err.get()));
  for (std::string line; std::getline(text, line);) seen.on_stderr.push_back(line);
  seen.on_stdout = drain(from_out.get());
  return seen;
}

std::size_t count_of(log_level configured, verbosity asked) {
  const lines seen = say_all(configured, asked, journal::none);
  CHECK(seen.outcome == "");
  CHECK(seen.on_stdout == "");
  return seen.on_stderr.size();
}

}  // namespace

TEST_CASE("log: the configured level, unless the command line says otherwise") {
  CHECK(count_of(log_level::error, verbosity::as_configured) == 1);
  CHECK(count_of(log_level::warning, verbosity::as_configured) == 2);
  CHECK(count_of(log_level::info, verbosity::as_configured) == 3);
  CHECK(count_of(log_level::debug, verbosity::as_configured) == 4);
  for (const auto level : {log_level::error, log_level::debug}) {
    CHECK(count_of(level, verbosity::verbose) == 4);
    CHECK(count_of(level, verbosity::quiet) == 1);
  }
}

TEST_CASE("log: a line has time, level, instance and text, and no escapes where there is no terminal") {
  auto listens = journal::none;
  SUBCASE("no journald") {}
  SUBCASE("journald listens, but not to stderr") { listens = journal::another_stream; }
  const lines seen = say_all(log_level::info, verbosity::as_configured, listens);
  REQUIRE(seen.on_stderr.size() == 3);
  CHECK(seen.on_stderr[0].substr(8) == " error lan: an error");
  CHECK(seen.on_stderr[1].substr(8) == " warning lan: a warning");
  CHECK(seen.on_stderr[2].substr(8) == " info lan: news");
  CHECK(seen.on_stderr[0][2] == ':');
  CHECK(seen.on_stderr[0][5] == ':');
}

TEST_CASE("log: under journald a line has the priority in front and no time") {
  const lines seen = say_all(log_level::debug, verbosity::as_configured, journal::stderr_stream);
  CHECK(seen.on_stderr ==
        std::vector<std::string>{"<3>lan: an error", "<4>lan: a warning", "<6>lan: news", "<7>lan: a detail"});
}
