// SPDX-License-Identifier: Apache-2.0
// sandbox.hpp - how the node gives everything up before it reads its first byte from the network.
//
// Order: close_all_but, drop_privileges, apply_seccomp. Nothing here can be taken back. What the node needs later
// comes as a message with descriptors.
// A build with a sanitizer keeps what the sanitizer needs to work: it stays dumpable, may start its checker thread and
// has no system call filter. `hardened_build` says which build this is.
// Process: node. Errors: std::system_error; the caller must end.
#pragma once

#include <sys/types.h>

#include <span>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define LANLOOM_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define LANLOOM_SANITIZED 1
#endif
#endif

namespace lanloom::os {

#ifdef LANLOOM_SANITIZED
inline constexpr bool hardened_build = false;
#else
inline constexpr bool hardened_build = true;
#endif

struct sandbox_identity {
  uid_t uid = 65534;
  gid_t gid = 65534;
  // Other programs run as that user, too, and may signal what it runs.
  [[nodiscard]] bool is_nobody() const noexcept { return uid == 65534; }
};

// The user `lanloom` with its group where the host has one that is not root, else 65534. Reads the user database:
// keeper only.
[[nodiscard]] sandbox_identity find_identity();

// For a process that holds keys: no core file, no debugger, and what it touches from now on never reaches swap. False:
// the kernel does not let this much memory be locked (RLIMIT_MEMLOCK), so swap is possible. Children start without it.
[[nodiscard]] bool protect_memory();

// Closes every descriptor that is not in `keep` (at most 64 of them, in any order; negative ones are ignored).
void close_all_but(std::span<const int> keep);

// Changes the user, gives up groups and every capability in every set, forbids new privileges, core files and new
// processes, makes the process not dumpable, and ties its life to its parent `keeper`: ends at once, with status 1,
// when that is not the parent any more. Its memory is locked where its parent's could be. REQUIRES CAP_SETUID,
// CAP_SETGID, CAP_SETPCAP.
void drop_privileges(const sandbox_identity& identity, pid_t keeper);

// For a process that looks up a name (name_lookup.hpp), in place of the next: from here on it may open files for
// reading and sockets for talking; every other way to the kernel that a lookup does not need fails with EPERM.
void apply_lookup_seccomp();

// From here on a system call that the event loop does not need kills the process.
void apply_seccomp();

}  // namespace lanloom::os
