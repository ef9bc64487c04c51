// SPDX-License-Identifier: Apache-2.0
// listener.hpp - what makes an instance unique and reachable on its host: control socket and lock file.
//
// The keeper opens both, in a directory that only root can write. The node accepts on the socket; the lock stays with
// the process that took it: no child inherits it, and the kernel knows whose it is.
// Errors: std::system_error with the path as context.
#pragma once

#include <lanloom/os/unique_fd.hpp>

#include <sys/types.h>

#include <optional>
#include <string>

namespace lanloom::os {

// A listening, non-blocking SOCK_STREAM socket at `path`, owned by root:gid with exactly `mode`. A socket file that
// nobody answers on is replaced; one that answers is EADDRINUSE, and a file that is no socket is EEXIST.
// Changes the umask for a moment: REQUIRES a single-threaded process.
[[nodiscard]] unique_fd listen_unix(const std::string& path, mode_t mode, gid_t gid);

// Whether who connected at the other end of `socket` is root or in `group`, by its own or another of its groups. As
// it was when it connected; false when the kernel does not tell, or of more than 1024 groups.
[[nodiscard]] bool peer_is_root_or_in(int socket, gid_t group) noexcept;

// An exclusive lock on a file; held until destroyed or until the process ends, however it ends. The file stays.
// REQUIRES that the process that holds it opens the file no second time: closing that would let go of the lock.
class instance_lock {
 public:
  // Nothing when another process holds it.
  [[nodiscard]] static std::optional<instance_lock> try_acquire(const std::string& path);

  // The process that holds it; 0 when that one lives in a process namespace that we cannot see. Nothing when no other
  // process holds it, or there is no such file.
  [[nodiscard]] static std::optional<pid_t> holder(const std::string& path);

 private:
  explicit instance_lock(unique_fd fd) noexcept : fd_(std::move(fd)) {}
  unique_fd fd_;
};

}  // namespace lanloom::os
