// SPDX-License-Identifier: Apache-2.0
#include <lanloom/os/netlink.hpp>
#include <lanloom/os/netns.hpp>

#include <dirent.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>

namespace lanloom::os {

namespace {
constexpr const char* directory = "/run/netns";
constexpr const char* own_netns = "/proc/thread-self/ns/net";
constexpr std::size_t most_processes = 64;

std::string pin_of(std::string_view name) {
  if (name.empty() || name.size() > NAME_MAX || name == "." || name == ".." ||
      name.find_first_of(std::string_view("/\0", 2)) != std::string_view::npos) {
    throw_errno("network namespace \"" + std::string(name) + "\"", EINVAL);
  }
  return std::string(directory) + "/" + std::string(name);
}

unique_fd current_netns() {
  unique_fd here(::open(own_netns, O_RDONLY | O_CLOEXEC));
  if (!here) throw_errno(std::string("open ") + own_netns);
  return here;
}

void go_back(const unique_fd& before) noexcept {
  if (::setns(before.get(), CLONE_NEWNET) == 0) return;
  std::fprintf(stderr, "cannot return to the network namespace we came from: %s\n", std::strerror(errno));
  std::abort();
}

bool is_netns(const unique_fd& file) noexcept { return ::ioctl(file.get(), NS_GET_NSTYPE) == CLONE_NEWNET; }

class in_new_netns {
 public:
  in_new_netns() : before_(current_netns()) {
    if (::unshare(CLONE_NEWNET) != 0) throw_errno("new network namespace");
  }
  ~in_new_netns() { go_back(before_); }
  in_new_netns(const in_new_netns&) = delete;
  in_new_netns& operator=(const in_new_netns&) = delete;

 private:
  unique_fd before_;
};

// Pins must reach every mount namespace, so the directory is a mount of its own that propagates. The lock is the one
// ip-netns takes: two binds at a time would hide each other's pins.
void prepare_directory() {
  if (::mkdir(directory, 0755) != 0 && errno != EEXIST) throw_errno(std::string("make ") + directory);
  const unique_fd lock(::open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!lock) throw_errno(std::string("open ") + directory);
  while (::flock(lock.get(), LOCK_EX) != 0) {
    if (errno != EINTR) throw_errno(std::string("lock ") + directory);
  }
  if (::mount("", directory, "none", MS_SHARED | MS_REC, nullptr) == 0) return;
  if (errno != EINVAL) throw_errno(std::string("share ") + directory);
  if (::mount(directory, directory, "none", MS_BIND | MS_REC, nullptr) != 0 ||
      ::mount("", directory, "none", MS_SHARED | MS_REC, nullptr) != 0) {
    throw_errno(std::string("share ") + directory);
  }
}

bool may_trace() noexcept {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, 2> sets{};
  static_assert(CAP_SYS_PTRACE < 32);
  return ::syscall(SYS_capget, &header, sets.data()) == 0 && (sets[0].effective >> CAP_SYS_PTRACE & 1U) != 0;
}

std::error_code remove_pin(const std::string& path) noexcept {
  // EINVAL: the file is there, but nothing is bound to it.
  if (::umount2(path.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) != 0 && errno != EINVAL && errno != ENOENT) {
    return {errno, std::system_category()};
  }
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) return {errno, std::system_category()};
  return {};
}
}  // namespace

unique_fd create_netns(std::string_view name) {
  const auto path = pin_of(name);
  const auto context = "create network namespace " + std::string(name);
  prepare_directory();
  if (!unique_fd(::open(path.c_str(), O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0))) throw_errno(context);
  try {
    const in_new_netns there;
    netlink().set_up(1);  // lo is the first link of every namespace
    if (::mount(own_netns, path.c_str(), "none", MS_BIND, nullptr) != 0) throw_errno(context);
    return current_netns();
  } catch (...) {
    remove_pin(path);
    throw;
  }
}

unique_fd open_netns(std::string_view name_or_path) {
  const auto context = "open network namespace " + std::string(name_or_path);
  const bool is_path = name_or_path.find('/') != std::string_view::npos;
  const auto path = is_path ? std::string(name_or_path) : pin_of(name_or_path);
  // A path may name anything: opening a FIFO must not wait.
  unique_fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file) throw_errno(context);
  if (!is_netns(file)) throw_errno(context, EINVAL);
  return file;
}

std::uint64_t netns_id(const unique_fd& netns) {
  {
    const in_netns there(netns);
    const unique_fd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    std::uint64_t cookie = 0;
    socklen_t size = sizeof cookie;
    if (!socket) throw_errno("network namespace");
    if (::getsockopt(socket.get(), SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &size) == 0) return cookie;
    if (errno != ENOPROTOOPT) throw_errno("network namespace");
  }
  struct stat found {};
  if (::fstat(netns.get(), &found) != 0) throw_errno("network namespace");
  return found.st_ino;
}

bool netns_exists(std::string_view name) {
  const unique_fd file(::open(pin_of(name).c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file && errno != ENOENT) throw_errno("open network namespace " + std::string(name));
  return file && is_netns(file);
}

void delete_netns(std::string_view name) {
  if (const auto failed = remove_pin(pin_of(name))) {
    throw std::system_error(failed, "delete network namespace " + std::string(name));
  }
}

std::vector<pid_t> processes_in(const unique_fd& netns) {
  struct stat wanted {};
  if (::fstat(netns.get(), &wanted) != 0) throw_errno("network namespace");
  const std::unique_ptr<DIR, int (*)(DIR*)> all(::opendir("/proc"), &::closedir);
  if (!all) throw_errno("open /proc");
  std::vector<pid_t> found;
  while (const auto* entry = ::readdir(all.get())) {
    const std::string_view name = entry->d_name;
    pid_t pid = 0;
    const auto [end, failed] = std::from_chars(name.data(), name.data() + name.size(), pid);
    if (failed != std::errc{} || end != name.data() + name.size()) continue;
    struct stat theirs {};
    const auto file = "/proc/" + std::string(name) + "/ns/net";
    if (::stat(file.c_str(), &theirs) != 0) {
      const int reason = errno;
      const bool has_ended = reason == ENOENT || reason == ESRCH;
      // What refuses us with every right there is (a security module) hides processes of the system, not of a LAN.
      const bool is_hidden = reason == EACCES && may_trace();
      if (!has_ended && !is_hidden) throw_errno(file, reason);
      continue;
    }
    if (theirs.st_dev != wanted.st_dev || theirs.st_ino != wanted.st_ino) continue;
    found.push_back(pid);
    if (found.size() == most_processes) break;
  }
  std::sort(found.begin(), found.end());
  return found;
}

in_netns::in_netns(const unique_fd& netns) : before_(current_netns()) {
  if (::setns(netns.get(), CLONE_NEWNET) != 0) throw_errno("enter network namespace");
}

in_netns::~in_netns() { go_back(before_); }

}  // namespace lanloom::os
