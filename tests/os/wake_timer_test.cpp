// SPDX-License-Identifier: Apache-2.0
#include "in_child.hpp"

#include <doctest/doctest.h>
#include <lanloom/os/clock.hpp>
#include <lanloom/os/sandbox.hpp>
#include <lanloom/os/wake_timer.hpp>

#include <iostream>

using namespace lanloom;
using namespace lanloom::os;
using namespace lanloom::os::test;
using namespace std::chrono_literals;

TEST_CASE("wake_timer: due at its time and not before, on the clock that goes on in a suspend") {
  wake_timer t;
  CHECK_FALSE(readable(t.fd(), 0ms));
  const time_point when = monotonic_now() + 30ms;
  t.set(when);
  CHECK(readable(t.fd(), 10s));
  CHECK(monotonic_now() >= when);
  CHECK(readable(t.fd(), 0ms));  // until it is cleared
  t.clear();
  CHECK_FALSE(readable(t.fd(), 0ms));
}

// A machine that has slept: in a time namespace CLOCK_BOOTTIME is ten hours ahead, and CLOCK_MONOTONIC as it was.
TEST_CASE("wake_timer: due at its time after a suspend of ten hours") {
  constexpr std::string_view cannot = "no time namespace can be made and set here";
  const time_point outside = monotonic_now();
  const std::string failure = in_child([=] {
    const bool made = ::unshare(CLONE_NEWTIME) == 0;
    const unique_fd offsets(::open("/proc/self/timens_offsets", O_WRONLY | O_CLOEXEC));
    constexpr std::string_view ahead = "boottime 36000 0";
    if (!made || !offsets || ::write(offsets.get(), ahead.data(), ahead.size()) < 0)
      throw std::runtime_error(std::string(cannot));
    const std::string inside = in_child([outside] {  // a child is in it, who made it is not
      EXPECT(monotonic_now() - outside >= 10h);
      wake_timer t;
      t.set(monotonic_now() + 30ms);
      EXPECT(readable(t.fd(), 10s));
      t.set(monotonic_now() + 1h);
      EXPECT(!readable(t.fd(), 0ms));
    });
    if (!inside.empty()) throw std::runtime_error(inside);
  });
  if (failure.find(cannot) != std::string::npos) {
    std::cout << "skip " << doctest::getContextOptions()->currentTest->m_name << ": " << cannot << '\n';
    return;
  }
  CHECK(failure == "");
}

TEST_CASE("wake_timer: what is past is due now, and a new time takes the place of the old") {
  wake_timer t;
  t.set(monotonic_now() - 1h);
  CHECK(readable(t.fd(), 10s));
  t.set(time_point{});
  CHECK(readable(t.fd(), 10s));
  t.set(monotonic_now() + 1h);
  CHECK_FALSE(readable(t.fd(), 0ms));
  t.clear();  // nothing to clear does not wait
  CHECK_FALSE(readable(t.fd(), 0ms));
}

TEST_CASE("wake_timer: is set and cleared under the node's filter") {
  CHECK(in_child([] {
          wake_timer t;
          drop_privileges({65534, 65534}, ::getppid());
          apply_seccomp();
          t.set(monotonic_now());
          EXPECT(readable(t.fd(), 10s));
          t.clear();
          EXPECT(!readable(t.fd(), 0ms));
        }) == "");
}
