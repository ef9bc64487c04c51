// SPDX-License-Identifier: Apache-2.0
// netns.hpp - network namespaces, pinned below /run/netns in the way of ip-netns(8), so that both see each other's.
//
// 1. The calling thread is in its own namespace again when a call returns or throws, or the process aborts: going on in
//    the wrong one would change somebody else's network.
// 2. A name is one path component. Deleting what is not there succeeds.
// Errors: std::system_error naming the namespace. Used by the keeper and by attach/detach (one thread; CAP_SYS_ADMIN).
#pragma once

#include <lanloom/os/unique_fd.hpp>

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace lanloom::os {

// Makes and pins a namespace with `lo` up. EEXIST when the name is taken.
[[nodiscard]] unique_fd create_netns(std::string_view name);

// With a '/' it is a path (/proc/PID/ns/net), else a pinned name. ENOENT when there is none, EINVAL when it is not a
// network namespace.
[[nodiscard]] unique_fd open_netns(std::string_view name_or_path);

// The kernel's cookie for it: no other namespace has the same until the next boot. (Inode numbers are given out again
// at once.) The inode number on kernels before 5.14, which have no cookie.
[[nodiscard]] std::uint64_t netns_id(const unique_fd& netns);

[[nodiscard]] bool netns_exists(std::string_view name);

// Unpins it; the kernel ends the namespace with its last process and descriptor.
void delete_netns(std::string_view name);

// Processes whose first thread lives there, at most 64, in ascending order. EACCES where that
// cannot be known without CAP_SYS_PTRACE.
[[nodiscard]] std::vector<pid_t> processes_in(const unique_fd& netns);

// Moves the calling thread into a namespace for as long as the object lives; /proc/sys/net is then that namespace's.
class in_netns {
 public:
  explicit in_netns(const unique_fd& netns);
  ~in_netns();
  in_netns(const in_netns&) = delete;
  in_netns& operator=(const in_netns&) = delete;

 private:
  unique_fd before_;
};

}  // namespace lanloom::os
