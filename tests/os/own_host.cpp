// SPDX-License-Identifier: Apache-2.0
#include "own_host.hpp"

#include <doctest/doctest.h>

#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <iostream>
#include <memory>

namespace lanloom::os {

namespace {
constexpr int skipped = 77;
constexpr unsigned deadline_seconds = 60;

std::atomic<bool> an_assert_failed{false};

// doctest's verdict on a case stays in the process that runs it; this is how the child learns of it.
struct assert_watch : doctest::IReporter {
  explicit assert_watch(const doctest::ContextOptions&) {}
  void log_assert(const doctest::AssertData& a) override {
    if (a.m_failed) an_assert_failed = true;
  }
  void report_query(const doctest::QueryData&) override {}
  void test_run_start() override {}
  void test_run_end(const doctest::TestRunStats&) override {}
  void test_case_start(const doctest::TestCaseData&) override {}
  void test_case_reenter(const doctest::TestCaseData&) override {}
  void test_case_end(const doctest::CurrentTestCaseStats&) override {}
  void test_case_exception(const doctest::TestCaseException&) override {}
  void subcase_start(const doctest::SubcaseSignature&) override {}
  void subcase_end() override {}
  void log_message(const doctest::MessageData&) override {}
  void test_case_skipped(const doctest::TestCaseData&) override {}
};
REGISTER_LISTENER("assert_watch", 1, assert_watch);

auto open_files() {
  return std::distance(std::filesystem::directory_iterator("/proc/self/fd"), std::filesystem::directory_iterator());
}

[[noreturn]] void live(const std::function<void()>& body) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  ::alarm(deadline_seconds);
  if (::unshare(CLONE_NEWNET | CLONE_NEWNS) != 0) ::_exit(errno == EPERM ? skipped : 1);
  if (::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
      ::mount("tmpfs", "/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=755") != 0) {
    std::perror("mounts of our own");
    ::_exit(1);
  }
  an_assert_failed = false;
  bool failed = false;
  const auto files_before = open_files();
  try {
    body();
    CHECK(open_files() == files_before);
    CHECK(::waitpid(-1, nullptr, WNOHANG) == -1);  // no child of ours, dead or alive
  } catch (const std::exception& e) {
    std::cout << "on its own host the test threw: " << e.what() << '\n';
    failed = true;
  } catch (...) {  // REQUIRE, which has been reported
    failed = true;
  }
  std::cout.flush();
  std::fflush(nullptr);
  ::_exit(failed || an_assert_failed ? 1 : 0);
}
}  // namespace

void on_own_host(const std::function<void()>& body) {
  std::cout.flush();
  std::fflush(nullptr);
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) live(body);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0) REQUIRE(errno == EINTR);
  if (WIFEXITED(status) && WEXITSTATUS(status) == skipped) {
    std::cout << "skip " << doctest::getContextOptions()->currentTest->m_name << ": needs root\n";
    return;
  }
  CHECK(status == 0);
}

std::string refusal(const std::function<void()>& action) {
  try {
    action();
  } catch (const std::exception& e) {
    return e.what();
  }
  return {};
}

std::string output_of(const std::string& command) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> from(::popen(command.c_str(), "r"), &::pclose);
  REQUIRE(from);
  std::string all;
  std::array<char, 4096> part;
  while (const auto size = std::fread(part.data(), 1, part.size(), from.get())) all.append(part.data(), size);
  return all;
}

}  // namespace lanloom::os
