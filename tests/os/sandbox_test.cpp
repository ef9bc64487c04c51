// SPDX-License-Identifier: Apache-2.0
#include "in_child.hpp"

#include <doctest/doctest.h>
#include <lanloom/os/channel.hpp>
#include <lanloom/os/clock.hpp>
#include <lanloom/os/listener.hpp>
#include <lanloom/os/sandbox.hpp>
#include <lanloom/os/udp.hpp>

#include <grp.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <termios.h>
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <set>
#include <vector>

using namespace lanloom;
using namespace lanloom::os;
using namespace lanloom::os::test;

namespace {

// A build with a sanitizer has no system call filter: there these are no test cases.
#ifdef LANLOOM_SANITIZED
#define FILTER_CASE(name) [[maybe_unused]] static void DOCTEST_ANONYMOUS(without_filter_)()
#else
#define FILTER_CASE(name) TEST_CASE(name)
#endif

constexpr sandbox_identity nobody{65534, 65534};

std::map<std::string, std::string> status_of(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/status");
  std::map<std::string, std::string> fields;
  for (std::string line; std::getline(file, line);) {
    const auto colon = line.find(":\t");
    if (colon == std::string::npos) continue;
    auto value = line.substr(colon + 2);
    while (!value.empty() && (value.back() == ' ' || value.back() == '\t')) value.pop_back();
    fields[line.substr(0, colon)] = value;
  }
  return fields;
}

// Soft and hard limit of one line of /proc/PID/limits.
std::string limit_of(pid_t pid, const std::string& name) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/limits");
  for (std::string line; std::getline(file, line);)
    if (line.starts_with(name)) return line.substr(26, 42);
  return "none";
}

std::set<int> descriptors_of(pid_t pid) {
  std::set<int> open;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/" + std::to_string(pid) + "/fd"))
    open.insert(std::stoi(entry.path().filename().string()));
  return open;
}

// A node that has given everything up and waits; ended with the object.
class waiting_node {
 public:
  explicit waiting_node(const std::function<void()>& first = {}) {
    auto [to_us, from_node] = make_pipe();
    auto [to_node, from_us] = make_pipe();
    kept_ = {2, from_node.get(), to_node.get()};
    const pid_t keeper = ::getpid();
    pid_ = ::fork();
    if (pid_ < 0) throw_errno("fork");
    if (pid_ == 0) run(keeper, from_node.get(), to_node.get(), first);
    from_node.reset();
    hold_ = std::move(from_us);
    char byte = 0;
    came_up_ = readable(to_us.get(), std::chrono::seconds(10)) && ::read(to_us.get(), &byte, 1) == 1;
  }
  ~waiting_node() {
    hold_.reset();
    (void)outcome_of(pid_);
  }
  waiting_node(const waiting_node&) = delete;
  waiting_node& operator=(const waiting_node&) = delete;
  [[nodiscard]] pid_t pid() const { return pid_; }
  [[nodiscard]] bool came_up() const { return came_up_; }
  [[nodiscard]] const std::set<int>& kept() const { return kept_; }

 private:
  [[noreturn]] static void run(pid_t keeper, int ready, int hold, const std::function<void()>& first) {
    try {
      if (first) first();
      const std::array<int, 4> keep{hold, 2, -1, ready};
      close_all_but(keep);
      drop_privileges(nobody, keeper);
      apply_seccomp();
      char byte = 'r';
      if (::write(ready, &byte, 1) == 1 && ::read(hold, &byte, 1) == 0) ::_exit(0);
    } catch (const std::exception& e) {
      std::fprintf(stderr, "node: %s\n", e.what());
    }
    ::_exit(1);
  }

  pid_t pid_ = -1;
  unique_fd hold_;
  std::set<int> kept_;
  bool came_up_ = false;
};

// How a sandboxed process ends that does `body` and then leaves.
std::string in_sandbox(const std::function<void()>& body) {
  const pid_t keeper = ::getpid();
  return in_child([&body, keeper] {
    drop_privileges(nobody, keeper);
    apply_seccomp();
    body();
  });
}

const std::string killed_by_filter = "signal " + std::to_string(SIGSYS);

}  // namespace

TEST_CASE("sandbox: nothing is left: user, groups, every capability set, new privileges, descriptors, limits") {
  const waiting_node node([] {
    // What a systemd unit with AmbientCapabilities would hand down.
    const std::array<gid_t, 2> groups{10, 20};
    EXPECT(::setgroups(groups.size(), groups.data()) == 0);
  });
  REQUIRE(node.came_up());
  auto status = status_of(node.pid());
  CHECK(status["Uid"] == "65534\t65534\t65534\t65534");
  CHECK(status["Gid"] == "65534\t65534\t65534\t65534");
  CHECK(status["Groups"] == "");
  for (const char* set : {"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"}) {
    CAPTURE(set);
    CHECK(status[set] == "0000000000000000");
  }
  CHECK(status["NoNewPrivs"] == "1");
  CHECK(status["Seccomp"] == (hardened_build ? "2" : "0"));
  CHECK(limit_of(node.pid(), "Max core file size").starts_with("0                    0 "));
  if (hardened_build) CHECK(limit_of(node.pid(), "Max processes").starts_with("0                    0 "));
  CHECK(descriptors_of(node.pid()) == node.kept());
}

TEST_CASE("sandbox: inheritable and ambient capabilities are cleared too") {
  // Numbers of linux/capability.h, which <sys/capability.h> would bring in with a library.
  constexpr int net_admin = 12;
  const waiting_node node([] {
    struct {
      std::uint32_t version;
      int pid;
    } header{0x20080522, 0};
    std::array<std::uint32_t, 6> sets{};
    EXPECT(::syscall(SYS_capget, &header, sets.data()) == 0);
    sets[2] |= 1U << net_admin;
    EXPECT(::syscall(SYS_capset, &header, sets.data()) == 0);
    EXPECT(::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, net_admin, 0, 0) == 0);
  });
  REQUIRE(node.came_up());
  auto status = status_of(node.pid());
  CHECK(status["CapInh"] == "0000000000000000");
  CHECK(status["CapAmb"] == "0000000000000000");
}

TEST_CASE("sandbox: what a node asks of the kernel about itself") {
  const pid_t keeper = ::getpid();
  const auto failure = in_child([keeper] {
    drop_privileges(nobody, keeper);
    int signal = 0;
    EXPECT(::prctl(PR_GET_PDEATHSIG, &signal, 0, 0, 0) == 0);
    EXPECT(signal == SIGKILL);
    EXPECT(::prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == (hardened_build ? 0 : 1));
    EXPECT(::prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
    EXPECT(::setresuid(0, 0, 0) != 0);
    EXPECT(::setgroups(0, nullptr) != 0);
    EXPECT(::unshare(CLONE_NEWNET) != 0);
    if (hardened_build) EXPECT(::fork() == -1);
    // Root's privileges do not come back by exec, either.
    EXPECT((::prctl(PR_GET_SECUREBITS, 0, 0, 0, 0) & 3) == 3);
  });
  CHECK(failure == "");
}

TEST_CASE("sandbox: a node whose keeper is gone already ends at once") {
  const pid_t somebody_else = ::getppid();
  CHECK(in_child([somebody_else] { drop_privileges(nobody, somebody_else); }) == "exit 1");
}

TEST_CASE("sandbox: a node whose keeper ends later is killed") {
  auto [alive, held_by_node] = make_pipe();
  const int held = held_by_node.get();
  const auto failure = in_child([held] {
    auto [ready, from_node] = make_pipe();
    const pid_t keeper = ::getpid();
    const pid_t node = ::fork();
    if (node == 0) {
      drop_privileges(nobody, keeper);
      apply_seccomp();
      char byte = 'r';
      (void)!::write(from_node.get(), &byte, 1);
      pollfd forever{held, 0, 0};
      for (;;) (void)::poll(&forever, 1, -1);
    }
    EXPECT(node > 0);
    EXPECT(readable(ready.get(), std::chrono::seconds(10)));
  });
  CHECK(failure == "");
  held_by_node.reset();
  // End of file once the last holder, the node, is gone.
  REQUIRE(readable(alive.get(), std::chrono::seconds(10)));
  char byte = 0;
  CHECK(::read(alive.get(), &byte, 1) == 0);
}

TEST_CASE("sandbox: without the capabilities it throws, and says at what") {
  const pid_t keeper = ::getpid();
  const auto failure = in_child([keeper] {
    EXPECT(::setresuid(65534, 65534, 65534) == 0);
    try {
      drop_privileges(nobody, keeper);
      throw std::runtime_error("dropped");
    } catch (const std::system_error& e) {
      EXPECT(e.code() == std::errc::operation_not_permitted);
      EXPECT(std::string(e.what()) == "empty the capability bounding set: Operation not permitted");
    }
  });
  CHECK(failure == "");
}

TEST_CASE("sandbox: close_all_but keeps exactly what it is told, in any order") {
  const auto failure = in_child([] {
    const auto pipe = make_pipe();
    std::vector<unique_fd> many;
    for (int i = 0; i < 20; ++i) many.emplace_back(::fcntl(pipe.first.get(), F_DUPFD_CLOEXEC, 0));
    const int high = ::fcntl(pipe.first.get(), F_DUPFD_CLOEXEC, 900);
    const std::array<int, 6> keep{high, many[7].get(), many[3].get(), -1, many[4].get(), many[7].get()};
    close_all_but(keep);
    for (int fd = 0; fd < 1024; ++fd) {
      const bool open = ::fcntl(fd, F_GETFD) >= 0;
      EXPECT(open == (std::find(keep.begin(), keep.end(), fd) != keep.end()));
    }
    ::_exit(0);
  });
  CHECK(failure == "");
  CHECK(in_child([] {
          close_all_but({});
          ::_exit(::fcntl(2, F_GETFD) < 0 ? 0 : 1);
        }) == "");
  const std::vector<int> too_many(65, 0);
  CHECK_THROWS_AS(close_all_but(too_many), std::system_error);
}

TEST_CASE("sandbox: the identity is never root") {
  const sandbox_identity identity = find_identity();
  CHECK(identity.uid != 0);
  CHECK(identity.gid != 0);
}

FILTER_CASE("filter: what is forbidden ends the process") {
  const std::map<std::string, std::function<void()>> forbidden{
      {"openat", [] { ::syscall(SYS_openat, AT_FDCWD, "/dev/null", O_RDONLY); }},
      {"open", [] { ::syscall(SYS_open, "/dev/null", O_RDONLY); }},
      {"openat2", [] { ::syscall(SYS_openat2, AT_FDCWD, "/dev/null", nullptr, 0); }},
      {"socket", [] { (void)::socket(AF_INET, SOCK_DGRAM, 0); }},
      {"socketpair",
       [] {
         std::array<int, 2> ends{};
         (void)::socketpair(AF_UNIX, SOCK_STREAM, 0, ends.data());
       }},
      {"bind", [] { (void)::bind(0, nullptr, 0); }},
      {"connect", [] { (void)::connect(0, nullptr, 0); }},
      {"listen", [] { (void)::listen(0, 1); }},
      {"execve",
       [] {
         char* const none[] = {nullptr};
         (void)::execve("/bin/true", none, none);
       }},
      {"execveat", [] { ::syscall(SYS_execveat, AT_FDCWD, "/bin/true", nullptr, nullptr, 0); }},
      {"fork", [] { (void)::fork(); }},
      {"vfork", [] { ::syscall(SYS_vfork); }},
      {"clone3", [] { ::syscall(SYS_clone3, nullptr, 0); }},
      {"unshare", [] { (void)::unshare(CLONE_NEWUSER); }},
      {"setns", [] { (void)::setns(0, 0); }},
      {"mount", [] { (void)::mount("a", "/", "tmpfs", 0, nullptr); }},
      {"ptrace", [] { (void)::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr); }},
      {"kill", [] { (void)::kill(::getpid(), 0); }},
      {"tgkill of another", [] { ::syscall(SYS_tgkill, 1, 1, 0); }},
      {"prctl", [] { (void)::prctl(PR_SET_DUMPABLE, 1, 0, 0, 0); }},
      {"io_uring_setup", [] { ::syscall(SYS_io_uring_setup, 1, nullptr); }},
      {"bpf", [] { ::syscall(SYS_bpf, 0, nullptr, 0); }},
      {"ftruncate", [] { (void)!::ftruncate(2, 0); }},
      {"newfstatat of a path",
       [] {
         struct stat found {};
         ::syscall(SYS_newfstatat, AT_FDCWD, "/", &found, 0);
       }},
      {"mmap, executable",
       [] { (void)::mmap(nullptr, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); }},
      {"mprotect, executable",
       [] {
         void* page = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
         (void)::mprotect(page, 4096, PROT_READ | PROT_EXEC);
       }},
      {"sched_setscheduler of another",
       [] {
         const sched_param none{};
         (void)::sched_setscheduler(1, SCHED_BATCH, &none);
       }},
      {"sched_setscheduler beyond the two",
       [] {
         const sched_param most{99};
         (void)::sched_setscheduler(0, SCHED_FIFO, &most);
       }},
      {"ioctl beyond FIONBIO", [] { (void)::ioctl(0, TIOCSTI, "x"); }},
      {"ioctl on interfaces", [] { (void)::ioctl(0, SIOCGIFFLAGS, nullptr); }},
      {"fcntl beyond flags", [] { (void)::fcntl(0, F_SETOWN, 1); }},
      {"setsockopt beyond the few",
       [] {
         const int on = 1;
         (void)::setsockopt(0, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
       }},
      {"getsockopt beyond the few",
       [] {
         int value = 0;
         socklen_t size = sizeof value;
         (void)::getsockopt(0, IPPROTO_IP, 64, &value, &size);
       }},
  };
  for (const auto& call : forbidden) {
    CAPTURE(call.first);
    CHECK(in_sandbox(call.second) == killed_by_filter);
  }
}

#if defined(__x86_64__)
FILTER_CASE("filter: the 32-bit system calls of the same processor are forbidden as well") {
  const auto call = [] {
    long result = 20;  // getpid
    asm volatile("int $0x80" : "+a"(result) : : "memory");
  };
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    ::signal(SIGSEGV, SIG_DFL);
    call();
    ::_exit(0);
  }
  const auto without_filter = outcome_of(child);
  const bool kernel_has_them = without_filter.empty();  // else it dies by SIGSEGV, filter or not
  CHECK(in_sandbox(call) == (kernel_has_them ? std::string(killed_by_filter) : without_filter));
}
#endif

FILTER_CASE("filter: an abort is seen as an abort") {
  CHECK(in_sandbox([] { std::abort(); }) == "signal 6");
}

FILTER_CASE("filter: memory, clocks, text, exceptions") {
  const auto failure = in_sandbox([] {
    for (std::size_t size = 1; size < (64U << 20); size *= 2) {
      std::vector<char> memory(size);
      memory.resize(size * 2);
    }
    EXPECT(monotonic_now().time_since_epoch().count() > 0);
    EXPECT(wall_now() > wall_time(std::chrono::hours(24)));
    timespec t{};
    EXPECT(::syscall(SYS_clock_gettime, CLOCK_BOOTTIME, &t) == 0);  // where the vDSO has to ask
    const time_t now = ::time(nullptr);
    tm local{};
    EXPECT(::localtime_r(&now, &local) != nullptr);
    std::fprintf(stderr, "%s", "");
    std::fflush(stderr);
    try {
      throw std::runtime_error("as always");
    } catch (const std::exception& e) {
      EXPECT(std::string(e.what()) == "as always");
    }
    ::syscall(SYS_sched_yield);
    const sched_param none{};
    for (const int policy : {SCHED_BATCH, SCHED_OTHER}) EXPECT(::sched_setscheduler(0, policy, &none) == 0);
    std::array<std::uint8_t, 16> random{};
    EXPECT(::syscall(SYS_getrandom, random.data(), random.size(), 0) == 16);
    EXPECT(::mlock(random.data(), random.size()) == 0);
    termios unused{};
    (void)::tcgetattr(2, &unused);
  });
  CHECK(failure == "");
}

FILTER_CASE("filter: the event loop: wait, timer, datagrams, accept, descriptors by message, state file") {
  const auto failure = in_network([] {
    const unique_fd loop(::epoll_create1(EPOLL_CLOEXEC));
    const unique_fd timer(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC));
    udp_socket udp = udp_socket::open(*endpoint::parse("127.0.0.1:4780"));
    const unique_fd listening(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in loopback{};
    loopback.sin_family = AF_INET;
    loopback.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof loopback;
    EXPECT(::bind(listening.get(), reinterpret_cast<sockaddr*>(&loopback), size) == 0);
    EXPECT(::listen(listening.get(), 4) == 0);
    EXPECT(::getsockname(listening.get(), reinterpret_cast<sockaddr*>(&loopback), &size) == 0);
    const unique_fd client(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const unique_fd other(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT(::connect(client.get(), reinterpret_cast<sockaddr*>(&loopback), size) == 0);
    EXPECT(::connect(other.get(), reinterpret_cast<sockaddr*>(&loopback), size) == 0);
    const unique_fd state(::memfd_create("state", MFD_CLOEXEC));
    auto ends = make_channel();
    EXPECT(ends.first.send(as_bytes("listen"), std::array<int, 1>{udp.fd()}) == std::errc{});

    drop_privileges(nobody, ::getppid());
    apply_seccomp();

    epoll_event event{EPOLLIN, {}};
    EXPECT(::epoll_ctl(loop.get(), EPOLL_CTL_ADD, udp.fd(), &event) == 0);
    EXPECT(::epoll_ctl(loop.get(), EPOLL_CTL_ADD, timer.get(), &event) == 0);
    const itimerspec soon{{}, {0, 1}};
    EXPECT(::timerfd_settime(timer.get(), 0, &soon, nullptr) == 0);
    EXPECT(::epoll_wait(loop.get(), &event, 1, 5000) == 1);

    std::array<std::uint8_t, 64> room{};
    std::vector<unique_fd> fds;
    std::size_t length = 0;
    EXPECT(ends.second.receive(room, length, fds) == std::errc{});
    udp_socket taken(std::move(fds.at(0)));
    EXPECT(taken.send(taken.local(), as_bytes("datagram"), 8).error == std::errc{});
    receive_batch batch;
    std::errc error{};
    EXPECT(batch.receive(taken, error).size() == 1);

    const unique_fd first(::accept(listening.get(), nullptr, nullptr));
    const unique_fd second(::accept4(listening.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    EXPECT(first);
    EXPECT(second);
    int on = 1;
    EXPECT(::ioctl(first.get(), FIONBIO, &on) == 0);
    EXPECT(::setsockopt(first.get(), IPPROTO_TCP, 1, &on, sizeof on) == 0);
    size = sizeof on;
    EXPECT(::getsockopt(first.get(), SOL_SOCKET, SO_ERROR, &on, &size) == 0);
    // Of one that is not root: its groups are asked for.
    static_cast<void>(peer_is_root_or_in(first.get(), 4711));
    EXPECT(::recv(first.get(), room.data(), room.size(), 0) < 0);
    EXPECT(::send(first.get(), "x", 1, MSG_NOSIGNAL) == 1);
    EXPECT(::shutdown(first.get(), SHUT_RDWR) == 0);
    EXPECT(::pwrite(state.get(), "s", 1, 0) == 1);
    EXPECT(::pread(state.get(), room.data(), 1, 0) == 1);
    struct stat found {};
    EXPECT(::fstat(state.get(), &found) == 0);
  });
  CHECK(failure == "");
}
