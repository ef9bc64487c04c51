// SPDX-License-Identifier: Apache-2.0
#include "in_child.hpp"

#include <doctest/doctest.h>
#include <lanloom/os/listener.hpp>

#include <sys/stat.h>
#include <sys/un.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <vector>

using namespace lanloom;
using namespace lanloom::os;
using namespace lanloom::os::test;

namespace {

class scratch_directory {
 public:
  scratch_directory() {
    std::string name = (std::filesystem::temp_directory_path() / "lanloom-listener-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw_errno("mkdtemp");
    path_ = name;
  }
  ~scratch_directory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  scratch_directory(const scratch_directory&) = delete;
  scratch_directory& operator=(const scratch_directory&) = delete;
  [[nodiscard]] std::string file(const char* name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

unique_fd connect_to(const std::string& path) {
  unique_fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) fd.reset();
  return fd;
}

std::errc refusal(const std::string& path) {
  try {
    (void)listen_unix(path, 0660, 0);
  } catch (const std::system_error& e) {
    CHECK(std::string(e.what()).starts_with("listen on " + path + ": "));
    return static_cast<std::errc>(e.code().value());
  }
  return {};
}

}  // namespace

TEST_CASE("listener: owner, group and mode are exact whatever the umask, which is left as it was") {
  const scratch_directory scratch;
  const mode_t before = ::umask(0);
  const unique_fd listening = listen_unix(scratch.file("lan.sock"), 0660, 12345);
  CHECK(::umask(before) == 0);
  struct stat found {};
  REQUIRE(::stat(scratch.file("lan.sock").c_str(), &found) == 0);
  CHECK(found.st_mode == (S_IFSOCK | 0660));
  CHECK(found.st_uid == 0);
  CHECK(found.st_gid == 12345);
  CHECK((::fcntl(listening.get(), F_GETFL) & O_NONBLOCK) != 0);
  CHECK((::fcntl(listening.get(), F_GETFD) & FD_CLOEXEC) != 0);
}

TEST_CASE("listener: a socket that answers is left alone, also with a full backlog; a stale one is replaced") {
  const scratch_directory scratch;
  const std::string path = scratch.file("lan.sock");
  unique_fd first = listen_unix(path, 0600, 0);
  CHECK(refusal(path) == std::errc::address_in_use);
  CHECK(connect_to(path));
  std::vector<unique_fd> waiting;
  for (int i = 0; i < 40; ++i) {
    unique_fd client(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.data(), path.size());
    const int result = ::connect(client.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
    if (result != 0) break;
    waiting.push_back(std::move(client));
  }
  CHECK(waiting.size() < 20);
  CHECK(refusal(path) == std::errc::address_in_use);
  waiting.clear();

  first.reset();
  CHECK_FALSE(connect_to(path));
  const unique_fd second = listen_unix(path, 0600, 0);
  CHECK(connect_to(path));
}

TEST_CASE("listener: what is no socket is not removed, and a path too long is refused") {
  const scratch_directory scratch;
  const std::string path = scratch.file("lan.sock");
  std::ofstream(path) << "precious";
  CHECK(refusal(path) == std::errc::file_exists);
  CHECK(std::filesystem::file_size(path) == 8);
  const std::string link = scratch.file("link.sock");
  std::filesystem::create_symlink(path, link);
  CHECK(refusal(link) == std::errc::file_exists);
  CHECK(std::filesystem::is_symlink(link));
  CHECK(refusal(scratch.file(std::string(100, 'x').c_str())) == std::errc::filename_too_long);
  CHECK(refusal(scratch.file("missing/lan.sock")) == std::errc::no_such_file_or_directory);
}

TEST_CASE("instance_lock: one holder, known to others, free again when it ends, however it ends") {
  const scratch_directory scratch;
  const std::string path = scratch.file("lan.lock");
  CHECK_FALSE(instance_lock::holder(path));
  CHECK_FALSE(std::filesystem::exists(path));
  auto held = instance_lock::try_acquire(path);
  REQUIRE(held);
  struct stat found {};
  REQUIRE(::stat(path.c_str(), &found) == 0);
  CHECK((found.st_mode & 07777) == 0600);
  const pid_t self = ::getpid();
  const auto refused = [&path, self] {
    EXPECT(!instance_lock::try_acquire(path));
    EXPECT(instance_lock::holder(path) == self);
  };
  const auto free = [&path] {
    EXPECT(!instance_lock::holder(path));
    const auto lock = instance_lock::try_acquire(path);
    EXPECT(lock);
    ::raise(SIGKILL);
  };
  CHECK(in_child(refused) == "");
  CHECK(in_child(refused) == "");  // a child that inherited the descriptor and ended has let go of nothing
  held.reset();
  CHECK_FALSE(instance_lock::holder(path));
  CHECK(in_child(free) == "signal 9");
  CHECK(in_child(free) == "signal 9");

  const std::string link = scratch.file("link.lock");
  std::filesystem::create_symlink(path, link);
  CHECK_THROWS_AS((void)instance_lock::try_acquire(link), std::system_error);
  CHECK_THROWS_AS((void)instance_lock::holder(link), std::system_error);
}
