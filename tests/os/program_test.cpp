// SPDX-License-Identifier: Apache-2.0
#include "own_host.hpp"

#include <doctest/doctest.h>

#include <lanloom/os/program.hpp>
#include <lanloom/os/unique_fd.hpp>

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>

#include <chrono>
#include <system_error>
#include <thread>

using namespace lanloom::os;
using namespace std::chrono_literals;

namespace {
// sh is everywhere, and does what the test wants.
program_result shell(const std::string& text, std::string_view input = {}, std::chrono::milliseconds patience = 10s) {
  const std::vector<std::string> arguments{"-c", text};
  return run_program("sh", arguments, input, patience);
}

std::error_code refused_code(const std::function<void()>& action) {
  try {
    action();
  } catch (const std::system_error& e) {
    return e.code();
  }
  return {};
}

bool alive(pid_t pid) { return ::kill(pid, 0) == 0; }
}  // namespace

TEST_CASE("programs are found by name in the system's directories only") {
  on_own_host([] {
    const auto sh = find_program("sh");
    REQUIRE(sh);
    CHECK(::access(sh->c_str(), X_OK) == 0);
    REQUIRE(::setenv("PATH", "/tmp", 1) == 0);
    CHECK(find_program("sh") == sh);
    using namespace std::string_view_literals;
    for (const auto name : {""sv, "absent-program"sv, "/bin/sh"sv, "../bin/sh"sv, "sh\0"sv})
      CHECK_FALSE(find_program(name));
    CHECK(refusal([] { (void)run_program("absent-program", {}); }) ==
          "absent-program: not found: No such file or directory");
    CHECK(refused_code([] { (void)run_program("/bin/sh", {}); }) == std::errc::no_such_file_or_directory);
  });
}

TEST_CASE("a program gets its arguments, input and environment, and all it says comes back") {
  on_own_host([] {
    REQUIRE(::dup2(STDIN_FILENO, 100) == 100);  // one that is inherited
    const std::vector<std::string> arguments{
        "-c",
        "for word; do echo \"<$word>\"; done; cat; echo one >&2; echo two >&2; env -u PWD -u _ -u OLDPWD -u SHLVL | "
        "sort\n"
        "[ ! -e /proc/$$/fd/100 ] || echo leak\n[ $(cut -d' ' -f5 /proc/$$/stat) = $$ ] || echo not a group of its "
        "own\n"
        "exit 3",
        "name",
        "a b",
        "$(id)",
        ""};
    const std::vector<std::string> settings{"OVS_RUNDIR=/run/x y"};
    const auto said = run_program("sh", arguments, "in\nput\n", 10s, settings);
    CHECK(said.status == 3);
    CHECK(said.output ==
          "<a b>\n<$(id)>\n<>\nin\nput\nLC_ALL=C\nOVS_RUNDIR=/run/x y\nPATH=/usr/sbin:/sbin:/usr/bin:/bin\n");
    CHECK(said.errors == "one\ntwo");
    REQUIRE(::close(100) == 0);
  });
}

TEST_CASE("the end by a signal is a status, and silence is empty") {
  on_own_host([] {
    CHECK(shell("kill -TERM $$").status == 128 + SIGTERM);
    const auto said = shell("exit 0");
    CHECK(said.status == 0);
    CHECK(said.output.empty());
    CHECK(said.errors.empty());
  });
}

TEST_CASE("output up to 1 MiB comes whole, more is refused, and words on stderr are cut") {
  on_own_host([] {
    const std::string input(1024 * 1024, 'x');
    CHECK(shell("cat", input).output == input);
    const auto start = std::chrono::steady_clock::now();
    CHECK(refusal([] { (void)shell("exec yes"); }) == "sh: it says more than 1 MiB: Message too long");
    CHECK(std::chrono::steady_clock::now() - start < 9s);
    const auto said = shell("cat >&2; echo done", input);
    CHECK(said.errors == std::string(4096, 'x'));
    CHECK(said.output == "done\n");
  });
}

TEST_CASE("a program that does not end is killed, and with it what it started") {
  on_own_host([] {
    const auto start = std::chrono::steady_clock::now();
    CHECK(refusal([] { (void)shell("sleep 600 & echo $! >/run/pid; exec 1>&- 2>&-; sleep 600", {}, 300ms); }) ==
          "sh: no end after 1 second: Connection timed out");
    const auto took = std::chrono::steady_clock::now() - start;
    CHECK(took >= 300ms);
    CHECK(took < 10s);
    const auto pid = std::stoi(output_of("cat /run/pid"));
    while (alive(pid) && std::chrono::steady_clock::now() - start < 20s) std::this_thread::sleep_for(1ms);
    CHECK_FALSE(alive(pid));
  });
}

TEST_CASE("what a program leaves running goes with it") {
  on_own_host([] {
    const auto start = std::chrono::steady_clock::now();
    const auto said = shell("sleep 600 & echo $!");  // it keeps our pipes open
    CHECK(said.status == 0);
    const auto pid = std::stoi(said.output);
    while (alive(pid) && std::chrono::steady_clock::now() - start < 9s) std::this_thread::sleep_for(1ms);
    CHECK_FALSE(alive(pid));
    CHECK(std::chrono::steady_clock::now() - start < 9s);
  });
}
