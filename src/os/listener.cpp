// SPDX-License-Identifier: Apache-2.0
#include <lanloom/os/listener.hpp>

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <cstring>

namespace lanloom::os {

namespace {

constexpr int backlog = 16;

sockaddr_un to_address(const std::string& path, const std::string& context) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path) throw_errno(context, ENAMETOOLONG);
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

unique_fd stream_socket(const std::string& context) {
  unique_fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) throw_errno(context);
  return fd;
}

// Leaves the path free, or throws. Only a refused connection proves that nobody listens: a full backlog says EAGAIN.
void clear_stale(const std::string& path, const sockaddr_un& address, const std::string& context) {
  struct stat found {};
  if (::lstat(path.c_str(), &found) != 0) {
    if (errno == ENOENT) return;
    throw_errno(context);
  }
  if (!S_ISSOCK(found.st_mode)) throw_errno(context, EEXIST);
  const unique_fd caller = stream_socket(context);
  if (::connect(caller.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 || errno == EAGAIN)
    throw_errno(context, EADDRINUSE);
  if (errno == ENOENT) return;
  if (errno != ECONNREFUSED) throw_errno(context);
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) throw_errno(context);
}

struct flock whole_file() {
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  return lock;
}

}  // namespace

unique_fd listen_unix(const std::string& path, mode_t mode, gid_t gid) {
  const std::string context = "listen on " + path;
  const sockaddr_un address = to_address(path, context);
  clear_stale(path, address, context);
  unique_fd fd = stream_socket(context);
  const mode_t before = ::umask(0177);
  const int bound = ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
  const int error = errno;
  ::umask(before);
  if (bound != 0) throw_errno(context, error);
  // Owner before mode: the mode opens the door, and only for the right group.
  if (::lchown(path.c_str(), 0, gid) != 0) throw_errno("give " + path + " to its group");
  if (::chmod(path.c_str(), mode) != 0) throw_errno("set mode of " + path);
  if (::listen(fd.get(), backlog) != 0) throw_errno(context);
  return fd;
}

bool peer_is_root_or_in(int socket, gid_t group) noexcept {
  ucred peer{};
  socklen_t size = sizeof peer;
  if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return false;
  if (peer.uid == 0 || peer.gid == group) return true;
  std::array<gid_t, 1024> others;
  size = sizeof others;
  if (::getsockopt(socket, SOL_SOCKET, SO_PEERGROUPS, others.data(), &size) != 0) return false;
  const auto end = others.begin() + size / sizeof(gid_t);
  return std::find(others.begin(), end, group) != end;
}

std::optional<instance_lock> instance_lock::try_acquire(const std::string& path) {
  unique_fd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd) throw_errno("lock " + path);
  const struct flock all = whole_file();
  while (::fcntl(fd.get(), F_SETLK, &all) != 0) {
    if (errno == EAGAIN || errno == EACCES) return std::nullopt;
    if (errno != EINTR) throw_errno("lock " + path);
  }
  return instance_lock(std::move(fd));
}

std::optional<pid_t> instance_lock::holder(const std::string& path) {
  const unique_fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!fd && errno == ENOENT) return std::nullopt;
  struct flock found = whole_file();
  if (!fd || ::fcntl(fd.get(), F_GETLK, &found) != 0) throw_errno("ask for the lock " + path);
  if (found.l_type == F_UNLCK) return std::nullopt;
  return found.l_pid;
}

}  // namespace lanloom::os
