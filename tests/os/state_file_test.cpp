// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>
#include <lanloom/os/state_file.hpp>

#include <fcntl.h>
#include <sys/stat.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <vector>

using namespace lanloom;
using namespace lanloom::os;
namespace fs = std::filesystem;

namespace {

constexpr std::size_t size = 20000;

class scratch_directory {
 public:
  scratch_directory() {
    std::string name = (fs::temp_directory_path() / "lanloom-state-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw_errno("mkdtemp");
    path_ = name;
  }
  ~scratch_directory() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  scratch_directory(const scratch_directory&) = delete;
  scratch_directory& operator=(const scratch_directory&) = delete;
  [[nodiscard]] const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

unsigned mode_of(const fs::path& p) { return static_cast<unsigned>(fs::symlink_status(p).permissions()); }

std::string refusal(const fs::path& directory) {
  try {
    (void)open_state_file(directory, size);
  } catch (const std::exception& e) {
    return e.what();
  }
  return "";
}

bool says(const std::string& text, const char* part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("state_file: made with its directories for this user only, whole from the start") {
  const scratch_directory scratch;
  const mode_t before = ::umask(0);
  unique_fd fd = open_state_file(scratch.path() / "a/b", size);
  ::umask(before);
  CHECK(mode_of(scratch.path() / "a") == 0700);
  CHECK(mode_of(scratch.path() / "a/b") == 0700);
  CHECK(mode_of(scratch.path() / "a/b/state") == 0600);
  CHECK(fs::file_size(scratch.path() / "a/b/state") == size);
  CHECK((::fcntl(fd.get(), F_GETFD) & FD_CLOEXEC) != 0);
}

TEST_CASE("state_file: what was written is read by the next who opens it") {
  const scratch_directory scratch;
  std::vector<std::uint8_t> read(size, 7);
  {
    const state_file file(open_state_file(scratch.path(), size));
    REQUIRE(file.read(read) == std::errc{});
    CHECK(read == std::vector<std::uint8_t>(size));
    CHECK(file.write(size - 4, as_bytes("last")) == std::errc{});
    CHECK(file.write(0, as_bytes("first")) == std::errc{});
  }
  const state_file file(open_state_file(scratch.path(), size));
  REQUIRE(file.read(read) == std::errc{});
  CHECK(std::string(read.begin(), read.begin() + 5) == "first");
  CHECK(std::string(read.end() - 4, read.end()) == "last");
  std::vector<std::uint8_t> more(size + 3, 7);
  REQUIRE(file.read(more) == std::errc{});
  CHECK(more.back() == 7);
}

TEST_CASE("state_file: who has it has it alone, with all duplicates of the descriptor") {
  const scratch_directory scratch;
  unique_fd fd = open_state_file(scratch.path(), size);
  const auto busy = [&] {
    try {
      (void)open_state_file(scratch.path(), size);
      return std::error_code();
    } catch (const std::system_error& e) {
      return e.code();
    }
  };
  CHECK(busy() == std::errc::device_or_resource_busy);
  unique_fd nodes(::fcntl(fd.get(), F_DUPFD_CLOEXEC, 0));
  fd.reset();
  CHECK(busy() == std::errc::device_or_resource_busy);
  nodes.reset();
  CHECK_FALSE(busy());
}

TEST_CASE("state_file: links, pipes, files and directories of others, and larger files are refused with the cure") {
  const scratch_directory scratch;
  const auto in = [&](const char* name) { return scratch.path() / name; };
  for (const char* name : {"link", "pipe", "open", "twice", "large", "shared", "short"}) fs::create_directory(in(name));

  std::ofstream(in("target"));
  fs::create_symlink(in("target"), in("link") / "state");
  CHECK(says(refusal(in("link")), "Too many levels of symbolic links"));
  fs::create_directory_symlink(in("short"), in("alias"));
  CHECK(says(refusal(in("alias")), "alias: "));
  CHECK(fs::file_size(in("target")) == 0);

  REQUIRE(::mkfifo((in("pipe") / "state").c_str(), 0600) == 0);
  CHECK(says(refusal(in("pipe")), "is not a regular file: remove it"));

  std::ofstream(in("open") / "state") << "x";
  fs::permissions(in("open") / "state", fs::perms(0640));
  CHECK(says(refusal(in("open")), "open to others"));

  std::ofstream(in("twice") / "state") << "x";
  fs::permissions(in("twice") / "state", fs::perms(0600));
  fs::create_hard_link(in("twice") / "state", in("twice") / "other");
  CHECK(says(refusal(in("twice")), "second name"));

  std::ofstream(in("large") / "state") << std::string(size + 1, 'x');
  fs::permissions(in("large") / "state", fs::perms(0600));
  CHECK(says(refusal(in("large")), "larger than any state: remove it"));
  CHECK(fs::file_size(in("large") / "state") == size + 1);

  fs::permissions(in("shared"), fs::perms(0770));
  CHECK(says(refusal(in("shared")), "chmod 700"));

  CHECK(says(refusal(in("target")), "Not a directory"));
  CHECK(says(refusal("/proc/nobody/makes/this"), "make the directory /proc/nobody"));

  // A file that was cut short gets its size back; what is left stays.
  std::ofstream(in("short") / "state") << "left";
  fs::permissions(in("short") / "state", fs::perms(0600));
  const state_file file(open_state_file(in("short"), size));
  std::array<std::uint8_t, 6> read{};
  REQUIRE(file.read(read) == std::errc{});
  CHECK(read == std::array<std::uint8_t, 6>{'l', 'e', 'f', 't', 0, 0});
}

TEST_CASE("state_file: a write that fails says so") {
  const state_file full(unique_fd(::open("/dev/full", O_RDWR | O_CLOEXEC)));
  CHECK(full.write(0, as_bytes("x")) == std::errc::no_space_on_device);
  const state_file read_only(unique_fd(::open("/dev/zero", O_RDONLY | O_CLOEXEC)));
  CHECK(read_only.write(0, as_bytes("x")) == std::errc::bad_file_descriptor);
}
