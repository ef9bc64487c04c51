// SPDX-License-Identifier: Apache-2.0
#include <lanloom/os/ready_set.hpp>

#include <doctest/doctest.h>
#include <poll.h>

#include <array>

namespace lanloom::os {

namespace {

struct pipe_ends {
  unique_fd in, out;
  pipe_ends() {
    std::array<int, 2> ends{};
    if (::pipe(ends.data()) != 0) throw_errno("pipe");
    in.reset(ends[0]);
    out.reset(ends[1]);
  }
};

}  // namespace

TEST_CASE("ready_set: says which can be read until they are read, and so does its duplicate") {
  using std::chrono::milliseconds;
  pipe_ends first, second;
  ready_set both{first.in.get(), second.in.get()};
  const unique_fd copy = both.duplicate();
  const auto readable = [&] {
    pollfd asked{copy.get(), POLLIN, 0};
    return ::poll(&asked, 1, 0) == 1;
  };
  CHECK(both.wait(milliseconds{0}) == 0);
  CHECK_FALSE(readable());
  REQUIRE(::write(second.out.get(), "x", 1) == 1);
  CHECK(both.wait(milliseconds{1000}) == 2);
  CHECK(both.wait(milliseconds{1000}) == 2);
  CHECK(readable());
  REQUIRE(::write(first.out.get(), "x", 1) == 1);
  CHECK(both.wait(milliseconds{1000}) == 3);
  char c = 0;
  REQUIRE(::read(second.in.get(), &c, 1) == 1);
  CHECK(both.wait(milliseconds{1000}) == 1);
  REQUIRE(::read(first.in.get(), &c, 1) == 1);
  CHECK(both.wait(milliseconds{0}) == 0);
  CHECK_FALSE(readable());
  first.out.reset();  // an end is told too
  CHECK(both.wait(milliseconds{1000}) == 1);
}

}  // namespace lanloom::os
