// SPDX-License-Identifier: Apache-2.0
#include "in_child.hpp"

#include <doctest/doctest.h>
#include <lanloom/os/channel.hpp>

#include <sys/stat.h>

#include <algorithm>
#include <filesystem>

using namespace lanloom;
using namespace lanloom::os;
using namespace lanloom::os::test;

namespace {

struct arrival {
  std::errc error{};
  std::string text;
  std::vector<unique_fd> fds;
};

arrival receive_from(channel& end, std::size_t room_size = channel::max_message) {
  std::vector<std::uint8_t> room(room_size);
  arrival got;
  std::size_t size = 0;
  got.error = end.receive(room, size, got.fds);
  got.text.assign(room.begin(), room.begin() + static_cast<std::ptrdiff_t>(size));
  return got;
}

std::size_t open_descriptors() {
  std::size_t count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) ++count;
  return count;
}

bool same_file(int a, int b) {
  struct stat x {
  }, y{};
  return ::fstat(a, &x) == 0 && ::fstat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

// A message with more descriptors than channel::send would take.
void send_raw(int fd, const std::vector<int>& fds) {
  std::vector<std::uint8_t> control(CMSG_SPACE(fds.size() * sizeof(int)));
  char byte = 'x';
  iovec part{&byte, 1};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  header.msg_control = control.data();
  header.msg_controllen = control.size();
  cmsghdr* c = CMSG_FIRSTHDR(&header);
  c->cmsg_level = SOL_SOCKET;
  c->cmsg_type = SCM_RIGHTS;
  c->cmsg_len = CMSG_LEN(fds.size() * sizeof(int));
  std::memcpy(CMSG_DATA(c), fds.data(), fds.size() * sizeof(int));
  REQUIRE(::sendmsg(fd, &header, 0) == 1);
}

}  // namespace

TEST_CASE("channel: messages keep their bounds and their order, both ways") {
  auto [keeper, node] = make_channel();
  CHECK(keeper.send(as_bytes("one")) == std::errc{});
  CHECK(keeper.send(as_bytes("three")) == std::errc{});
  CHECK(node.send(as_bytes("back")) == std::errc{});
  CHECK(receive_from(node).text == "one");
  CHECK(receive_from(node).text == "three");
  CHECK(receive_from(keeper).text == "back");
  CHECK((::fcntl(keeper.fd(), F_GETFD) & FD_CLOEXEC) != 0);
  CHECK((::fcntl(node.fd(), F_GETFD) & FD_CLOEXEC) != 0);
}

TEST_CASE("channel: ten descriptors arrive in order, close-on-exec, and belong to the receiver") {
  auto [keeper, node] = make_channel();
  std::vector<std::pair<unique_fd, unique_fd>> pipes;
  std::vector<int> fds;
  for (int i = 0; i < 5; ++i) {
    pipes.push_back(make_pipe());
    fds.push_back(pipes.back().first.get());
    fds.push_back(pipes.back().second.get());
  }
  REQUIRE(keeper.send(as_bytes("pipes"), fds) == std::errc{});
  const std::size_t before = open_descriptors();
  {
    const arrival got = receive_from(node);
    REQUIRE(got.error == std::errc{});
    CHECK(got.text == "pipes");
    REQUIRE(got.fds.size() == 10);
    for (std::size_t i = 0; i < 10; ++i) {
      CHECK(got.fds[i].get() != fds[i]);
      CHECK(same_file(got.fds[i].get(), fds[i]));
      CHECK((::fcntl(got.fds[i].get(), F_GETFD) & FD_CLOEXEC) != 0);
    }
    CHECK(open_descriptors() == before + 10);
  }
  CHECK(open_descriptors() == before);
}

TEST_CASE("channel: descriptors of an earlier message do not stay for the next") {
  auto [keeper, node] = make_channel();
  const auto pipe = make_pipe();
  const std::array<int, 1> fds{pipe.first.get()};
  REQUIRE(keeper.send(as_bytes("with"), fds) == std::errc{});
  REQUIRE(keeper.send(as_bytes("without")) == std::errc{});
  std::vector<std::uint8_t> room(100);
  std::vector<unique_fd> got;
  std::size_t size = 0;
  REQUIRE(node.receive(room, size, got) == std::errc{});
  CHECK(got.size() == 1);
  REQUIRE(node.receive(room, size, got) == std::errc{});
  CHECK(size == 7);
  CHECK(got.empty());
}

TEST_CASE("channel: a closed peer end is the end of file, after what it still sent") {
  auto [keeper, node] = make_channel();
  CHECK(keeper.send(as_bytes("unread")) == std::errc{});
  CHECK(node.send(as_bytes("bye")) == std::errc{});
  node.close();
  CHECK(receive_from(keeper).text == "bye");
  CHECK(receive_from(keeper).error == channel::end_of_file);
  CHECK(receive_from(keeper).error == channel::end_of_file);
  CHECK(in_child([&end = keeper] { EXPECT(end.send(as_bytes("anybody?")) == std::errc::broken_pipe); }) == "");
}

TEST_CASE("channel: oversize messages and too many descriptors are refused on both sides, and nothing leaks") {
  auto [keeper, node] = make_channel();
  const std::vector<std::uint8_t> large(channel::max_message + 1);
  CHECK(keeper.send(large) == std::errc::message_size);
  CHECK(keeper.send({}) == std::errc::invalid_argument);
  const auto pipe = make_pipe();
  const std::vector<int> many(channel::max_fds + 1, pipe.first.get());
  CHECK(keeper.send(as_bytes("many"), many) == std::errc::argument_list_too_long);

  CHECK(keeper.send(bytes_view(large).first(channel::max_message)) == std::errc{});
  CHECK(receive_from(node).text.size() == channel::max_message);

  const std::size_t before = open_descriptors();
  const std::array<int, 2> two{pipe.first.get(), pipe.second.get()};
  REQUIRE(keeper.send(as_bytes("longer than ten"), two) == std::errc{});
  const arrival cut = receive_from(node, 10);
  CHECK(cut.error == std::errc::message_size);
  CHECK(cut.text.empty());
  CHECK(cut.fds.empty());
  for (const std::size_t count : {17U, 18U, 40U}) {
    send_raw(keeper.fd(), std::vector<int>(count, pipe.first.get()));
    const arrival got = receive_from(node);
    CHECK(got.error == std::errc::message_size);
    CHECK(got.fds.empty());
  }
  CHECK(open_descriptors() == before);

  const std::vector<int> full(channel::max_fds, pipe.first.get());
  REQUIRE(keeper.send(as_bytes("full"), full) == std::errc{});
  CHECK(receive_from(node).fds.size() == channel::max_fds);
}

TEST_CASE("channel: non-blocking ends say when there is nothing, and when the peer does not read") {
  auto [keeper, node] = make_channel();
  keeper.set_non_blocking(true);
  node.set_non_blocking(true);
  CHECK(receive_from(node).error == std::errc::resource_unavailable_try_again);
  const std::vector<std::uint8_t> message(4096);
  std::errc error{};
  int taken = 0;
  while (error == std::errc{} && taken < 10000) {
    error = keeper.send(message);
    ++taken;
  }
  CHECK(error == std::errc::resource_unavailable_try_again);
  CHECK(receive_from(node).text.size() == 4096);
  node.set_non_blocking(false);
  CHECK((::fcntl(node.fd(), F_GETFL) & O_NONBLOCK) == 0);
}
