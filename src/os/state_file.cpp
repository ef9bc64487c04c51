// SPDX-License-Identifier: Apache-2.0
#include <lanloom/os/state_file.hpp>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <stdexcept>

namespace lanloom::os {

namespace {

void make_directories(const std::string& path) {
  for (std::size_t end = 0; end != std::string::npos;) {
    end = path.find('/', end + 1);
    const std::string part = path.substr(0, end);
    if (::mkdir(part.c_str(), 0700) != 0 && errno != EEXIST) throw_errno("make the directory " + part);
  }
}

struct stat status_of(const unique_fd& fd, const std::string& name) {
  struct stat found {};
  if (::fstat(fd.get(), &found) != 0) throw_errno("examine " + name);
  return found;
}

void check_directory(const unique_fd& fd, const std::string& name) {
  const auto found = status_of(fd, name);
  if (found.st_uid != ::geteuid() || (found.st_mode & 0022) != 0) {
    throw std::runtime_error(name + " belongs to, or can be written by, another user: chown root " + name +
                             " and chmod 700 " + name);
  }
}

void check_file(const struct stat& found, const std::string& name) {
  if (!S_ISREG(found.st_mode)) throw std::runtime_error(name + " is not a regular file: remove it");
  if (found.st_uid != ::geteuid() || found.st_nlink != 1 || (found.st_mode & 0077) != 0) {
    throw std::runtime_error(name + " is another user's, or open to others, or has a second name: remove it");
  }
}

}  // namespace

unique_fd open_state_file(const std::string& directory, std::size_t size) {
  make_directories(directory);
  const unique_fd in(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!in) throw_errno("open the directory " + directory);
  check_directory(in, directory);

  const std::string name = directory + "/state";
  // Not blocking: what is no regular file may not hold us up before it is refused.
  unique_fd fd(::openat(in.get(), "state", O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0600));
  if (!fd) throw_errno("open " + name);
  const auto found = status_of(fd, name);
  check_file(found, name);
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    throw_errno(name + " is in use by another process", errno == EWOULDBLOCK ? EBUSY : errno);
  }
  const auto wanted = static_cast<off_t>(size);
  if (found.st_size > wanted) throw std::runtime_error(name + " is larger than any state: remove it");
  int error = 0;
  do error = ::posix_fallocate(fd.get(), 0, wanted);
  while (error == EINTR);
  if (error != 0) throw_errno("make room for " + name, error);
  return fd;
}

std::errc state_file::read(bytes_span out) const noexcept {
  for (off_t at = 0; !out.empty();) {
    const ssize_t n = ::pread(fd_.get(), out.data(), out.size(), at);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return static_cast<std::errc>(errno);
    if (n == 0) break;
    at += n;
    out = out.subspan(static_cast<std::size_t>(n));
  }
  return {};
}

std::errc state_file::write(std::size_t offset, bytes_view bytes) const noexcept {
  for (auto at = static_cast<off_t>(offset); !bytes.empty();) {
    const ssize_t n = ::pwrite(fd_.get(), bytes.data(), bytes.size(), at);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return static_cast<std::errc>(errno);
    if (n == 0) return std::errc::no_space_on_device;
    at += n;
    bytes = bytes.subspan(static_cast<std::size_t>(n));
  }
  return {};
}

}  // namespace lanloom::os
