// SPDX-License-Identifier: Apache-2.0
#include <lanloom/os/sandbox.hpp>
#include <lanloom/os/unique_fd.hpp>

#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/netlink.h>
#include <linux/securebits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pwd.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <initializer_list>
#include <limits>
#include <memory>
#include <vector>

namespace lanloom::os {

namespace {

constexpr std::size_t max_kept_fds = 64;

void check(int result, const char* what) {
  if (result < 0) throw_errno(what);
}

void limit(__rlimit_resource_t resource, rlim_t value, const char* what) {
  const rlimit both{value, value};
  check(::setrlimit(resource, &both), what);
}

// The bounding set and the secure bits need CAP_SETPCAP, so they go before the user changes.
void give_up_future_capabilities() {
  for (int capability = 0;; ++capability) {
    const int held = ::prctl(PR_CAPBSET_READ, capability, 0, 0, 0);
    if (held < 0) break;  // past the last one that this kernel has
    if (held == 1) check(::prctl(PR_CAPBSET_DROP, capability, 0, 0, 0), "empty the capability bounding set");
  }
  const int bits = ::prctl(PR_GET_SECUREBITS, 0, 0, 0, 0);
  check(bits, "read the secure bits");
  constexpr int wanted = SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_KEEP_CAPS_LOCKED | SECBIT_NO_CAP_AMBIENT_RAISE |
                         SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED;
  check(::prctl(PR_SET_SECUREBITS, bits | wanted, 0, 0, 0), "set the secure bits");
}

void change_user(const sandbox_identity& identity) {
  check(::setgroups(0, nullptr), "give up supplementary groups");
  check(::setresgid(identity.gid, identity.gid, identity.gid), "change the group");
  check(::setresuid(identity.uid, identity.uid, identity.uid), "change the user");
}

void give_up_capabilities() {
  check(::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0), "clear ambient capabilities");
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  const std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3> none{};
  check(static_cast<int>(::syscall(SYS_capset, &header, none.data())), "give up capabilities");
}

// All of it, keys and what is made of them: locking a key alone would leave out the stack and what the ciphers expand.
bool lock_memory() noexcept {
  const rlimit unlimited{RLIM_INFINITY, RLIM_INFINITY};
  ::setrlimit(RLIMIT_MEMLOCK, &unlimited);
  rlimit allowed{};
  if (::getrlimit(RLIMIT_MEMLOCK, &allowed) != 0 || allowed.rlim_cur != RLIM_INFINITY) return false;
  return ::mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) == 0;
}

}  // namespace

bool protect_memory() {
  limit(RLIMIT_CORE, 0, "forbid core files");
  if (!hardened_build) return true;  // a sanitizer has to look, and its shadow is larger than memory
  check(::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0), "hide the memory");
  return lock_memory();
}

sandbox_identity find_identity() {
  std::vector<char> room(16384);
  passwd entry{};
  passwd* found = nullptr;
  const int error = ::getpwnam_r("lanloom", &entry, room.data(), room.size(), &found);
  if (error != 0 && error != ENOENT && error != ESRCH) throw_errno("look up user lanloom", error);
  if (found == nullptr || entry.pw_uid == 0 || entry.pw_gid == 0) return {};
  return {entry.pw_uid, entry.pw_gid};
}

void close_all_but(std::span<const int> keep) {
  if (keep.size() > max_kept_fds) throw_errno("close descriptors", E2BIG);
  std::array<int, max_kept_fds> sorted{};
  const auto end = std::copy_if(keep.begin(), keep.end(), sorted.begin(), [](int fd) { return fd >= 0; });
  std::sort(sorted.begin(), end);
  unsigned from = 0;
  for (auto it = sorted.begin(); it != end; ++it) {
    const auto kept = static_cast<unsigned>(*it);
    if (kept > from) check(::close_range(from, kept - 1, 0), "close descriptors");
    from = kept + 1;
  }
  check(::close_range(from, std::numeric_limits<unsigned>::max(), 0), "close descriptors");
}

void drop_privileges(const sandbox_identity& identity, pid_t keeper) {
  if (hardened_build) lock_memory();  // where not, its parent has said so
  give_up_future_capabilities();
  change_user(identity);
  give_up_capabilities();
  check(::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "set no_new_privs");
  limit(RLIMIT_CORE, 0, "forbid core files");
  if (hardened_build) limit(RLIMIT_NPROC, 0, "forbid new processes");
  check(::prctl(PR_SET_DUMPABLE, hardened_build ? 0 : 1, 0, 0, 0), "set dumpable");
  // A change of credentials clears it, so it comes after them; a parent that ended before it was set sends nothing.
  check(::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0), "set the parent-death signal");
  if (::getppid() != keeper) ::_exit(1);
}

namespace {

class filter {
 public:
  // `otherwise`: what becomes of a call that is not listed.
  explicit filter(std::uint32_t otherwise) : context_(::seccomp_init(otherwise), ::seccomp_release) {
    if (!context_) throw_errno("make the system call filter", ENOMEM);
    // Also for the other calling conventions of this processor (32 bit).
    verify(::seccomp_attr_set(context_.get(), SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS));
  }
  void allow(int call) { verify(::seccomp_rule_add_array(context_.get(), SCMP_ACT_ALLOW, call, 0, nullptr)); }
  // Allowed when every one of `arguments` holds.
  void allow_when(int call, std::initializer_list<scmp_arg_cmp> arguments) {
    verify(::seccomp_rule_add_array(context_.get(), SCMP_ACT_ALLOW, call, static_cast<unsigned>(arguments.size()),
                                    arguments.begin()));
  }
  void load() { verify(::seccomp_load(context_.get())); }

 private:
  static void verify(int result) {
    if (result < 0) throw_errno("load the system call filter", -result);
  }
  std::unique_ptr<void, void (*)(scmp_filter_ctx)> context_;
};

scmp_arg_cmp equals(unsigned argument, std::uint64_t value) { return {argument, SCMP_CMP_EQ, value, 0}; }
// An int argument: the upper half of the register is not part of it, and callers leave anything there.
scmp_arg_cmp equals_int(unsigned argument, int value) {
  return {argument, SCMP_CMP_MASKED_EQ, 0xffffffffU, static_cast<unsigned>(value)};
}
scmp_arg_cmp lacks(unsigned argument, unsigned bits) { return {argument, SCMP_CMP_MASKED_EQ, bits, 0}; }

void allow_traffic(filter& f) {
  for (const int call :
       {SCMP_SYS(read), SCMP_SYS(write), SCMP_SYS(readv), SCMP_SYS(writev), SCMP_SYS(recvmsg), SCMP_SYS(recvmmsg),
        SCMP_SYS(recvfrom), SCMP_SYS(sendmsg), SCMP_SYS(sendmmsg), SCMP_SYS(sendto), SCMP_SYS(accept),
        SCMP_SYS(accept4), SCMP_SYS(close), SCMP_SYS(shutdown), SCMP_SYS(getsockname), SCMP_SYS(getpeername)})
    f.allow(call);
  for (const int option : {SO_ERROR, SO_TYPE, SO_DOMAIN, SO_PROTOCOL, SO_ACCEPTCONN, SO_PEERCRED, SO_PEERGROUPS})
    f.allow_when(SCMP_SYS(getsockopt), {equals_int(1, SOL_SOCKET), equals_int(2, option)});
  f.allow_when(SCMP_SYS(setsockopt), {equals_int(1, SOL_SOCKET), equals_int(2, SO_LINGER)});
  f.allow_when(SCMP_SYS(setsockopt), {equals_int(1, IPPROTO_TCP), equals_int(2, TCP_NODELAY)});
  // The state file.
  for (const int call : {SCMP_SYS(pread64), SCMP_SYS(pwrite64)}) f.allow(call);
}

void allow_event_loop(filter& f) {
  for (const int call :
       {SCMP_SYS(epoll_wait), SCMP_SYS(epoll_pwait), SCMP_SYS(epoll_pwait2), SCMP_SYS(epoll_ctl), SCMP_SYS(poll),
        SCMP_SYS(ppoll), SCMP_SYS(timerfd_settime), SCMP_SYS(clock_gettime), SCMP_SYS(gettimeofday), SCMP_SYS(futex),
        SCMP_SYS(sched_yield), SCMP_SYS(restart_syscall), SCMP_SYS(getrandom)})
    f.allow(call);
  for (const int request : {FIONBIO, TCGETS}) f.allow_when(SCMP_SYS(ioctl), {equals_int(1, request)});
  for (const int command : {F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_DUPFD_CLOEXEC})
    f.allow_when(SCMP_SYS(fcntl), {equals_int(1, command)});
}

void allow_memory_and_end(filter& f) {
  for (const int call :
       {SCMP_SYS(brk), SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(madvise), SCMP_SYS(mlock), SCMP_SYS(munlock),
        SCMP_SYS(exit), SCMP_SYS(exit_group), SCMP_SYS(rt_sigreturn), SCMP_SYS(rt_sigprocmask), SCMP_SYS(getpid),
        SCMP_SYS(gettid), SCMP_SYS(fstat), SCMP_SYS(lseek)})
    f.allow(call);
  f.allow_when(SCMP_SYS(mmap), {lacks(2, PROT_EXEC)});
  f.allow_when(SCMP_SYS(mprotect), {lacks(2, PROT_EXEC)});
  // fstat is made of this one; abort of the other, to itself.
  f.allow_when(SCMP_SYS(newfstatat), {equals_int(3, AT_EMPTY_PATH)});
  f.allow_when(SCMP_SYS(tgkill), {equals(0, static_cast<std::uint64_t>(::getpid()))});
}

// What getaddrinfo needs with whatever modules the host's nsswitch.conf names: their libraries, files, sockets.
void allow_lookup(filter& f) {
  for (const int call : {SCMP_SYS(connect),
                         SCMP_SYS(bind),
                         SCMP_SYS(readlink),
                         SCMP_SYS(readlinkat),
                         SCMP_SYS(stat),
                         SCMP_SYS(lstat),
                         SCMP_SYS(newfstatat),
                         SCMP_SYS(statx),
                         SCMP_SYS(access),
                         SCMP_SYS(faccessat),
                         SCMP_SYS(faccessat2),
                         SCMP_SYS(getdents64),
                         SCMP_SYS(uname),
                         SCMP_SYS(sysinfo),
                         SCMP_SYS(getuid),
                         SCMP_SYS(geteuid),
                         SCMP_SYS(getgid),
                         SCMP_SYS(getegid),
                         SCMP_SYS(mmap),
                         SCMP_SYS(mprotect),
                         SCMP_SYS(setsockopt),
                         SCMP_SYS(getsockopt),
                         SCMP_SYS(ioctl),
                         SCMP_SYS(dup),
                         SCMP_SYS(pipe2),
                         SCMP_SYS(epoll_create1),
                         SCMP_SYS(eventfd2),
                         SCMP_SYS(timerfd_create),
                         SCMP_SYS(rt_sigaction),
                         SCMP_SYS(sched_getaffinity),
                         SCMP_SYS(clock_nanosleep),
                         SCMP_SYS(clock_getres)})
    f.allow(call);
  constexpr auto changes = static_cast<unsigned>(O_ACCMODE | O_CREAT | O_TRUNC);
  f.allow_when(SCMP_SYS(open), {lacks(1, changes)});
  f.allow_when(SCMP_SYS(openat), {lacks(2, changes)});
  for (const int command : {F_DUPFD, F_GETLK, F_SETLK, F_SETLKW})
    f.allow_when(SCMP_SYS(fcntl), {equals_int(1, command)});
  for (const int family : {AF_UNIX, AF_INET, AF_INET6}) {
    for (const int type : {SOCK_STREAM, SOCK_DGRAM})
      f.allow_when(SCMP_SYS(socket),
                   {equals_int(0, family), {1, SCMP_CMP_MASKED_EQ, 0xf, static_cast<unsigned>(type)}});
  }
  f.allow_when(SCMP_SYS(socket), {equals_int(0, AF_NETLINK), equals_int(2, NETLINK_ROUTE)});
}

}  // namespace

void apply_lookup_seccomp() {
  if (!hardened_build) return;
  filter f(SCMP_ACT_ERRNO(EPERM));  // a module that wants more goes without, and the others are asked
  allow_traffic(f);
  allow_event_loop(f);
  allow_memory_and_end(f);
  allow_lookup(f);
  f.load();
}

void apply_seccomp() {
  if (!hardened_build) return;
  // Local time in a log line reads the time zone file once; later there is no open.
  ::tzset();
  filter f(SCMP_ACT_KILL_PROCESS);
  allow_traffic(f);
  allow_event_loop(f);
  allow_memory_and_end(f);
  // Its own, by wake_policy.
  for (const int policy : {SCHED_OTHER, SCHED_BATCH})
    f.allow_when(SCMP_SYS(sched_setscheduler), {equals_int(0, 0), equals_int(1, policy)});
  f.load();
}

}  // namespace lanloom::os
