// SPDX-License-Identifier: Apache-2.0
#include <lanloom/os/program.hpp>
#include <lanloom/os/unique_fd.hpp>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <vector>

namespace lanloom::os {

namespace {
using clock = std::chrono::steady_clock;
constexpr std::size_t most_output = 1024 * 1024;
constexpr std::size_t most_errors = 4096;

// A file in memory instead of a pipe: no deadlock between two full pipes, no SIGPIPE when the program ends early.
unique_fd memory_file(const std::string& name, std::string_view text) {
  const auto context = name + ": memory for its input";
  unique_fd file(::memfd_create("input", MFD_CLOEXEC));
  if (!file) throw_errno(context);
  while (!text.empty()) {
    const auto written = ::write(file.get(), text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) throw_errno(context);
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  if (::lseek(file.get(), 0, SEEK_SET) != 0) throw_errno(context);
  return file;
}

struct pipe_ends {
  unique_fd ours;
  unique_fd theirs;
  explicit pipe_ends(const std::string& name) {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) throw_errno(name + ": pipe");
    ours.reset(ends[0]);
    theirs.reset(ends[1]);
    if (::fcntl(ends[0], F_SETFL, O_NONBLOCK) != 0) throw_errno(name + ": pipe");
  }
};

std::vector<char*> pointers_to(std::vector<std::string>& words) {
  std::vector<char*> pointers;
  for (auto& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  return pointers;
}

// A running program; killed with its group and reaped with the object.
class child {
 public:
  child(const std::string& path, std::vector<std::string> words, std::vector<std::string> settings, int input,
        int output, int errors);
  ~child() { end(); }
  child(const child&) = delete;
  child& operator=(const child&) = delete;

  // Readable once it has ended.
  [[nodiscard]] unique_fd watch() const {
    unique_fd fd(static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0U)));
    if (!fd) throw_errno(name_ + ": watch it");
    return fd;
  }
  // Ends what still runs of it.
  int status() {
    const int seen = end();
    return WIFSIGNALED(seen) ? 128 + WTERMSIG(seen) : WEXITSTATUS(seen);
  }

 private:
  int end() noexcept {
    int status = 0;
    siginfo_t state{};
    // Only what waits for us is ours: another process may have the pid of a child that somebody else has reaped.
    if (pid_ > 0 && ::waitid(P_PID, static_cast<id_t>(pid_), &state, WEXITED | WNOHANG | WNOWAIT) == 0) {
      ::kill(-pid_, SIGKILL);
      while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) continue;
    }
    pid_ = -1;
    return status;
  }

  std::string name_;
  pid_t pid_ = -1;
};

child::child(const std::string& path, std::vector<std::string> words, std::vector<std::string> settings, int input,
             int output, int errors)
    : name_(words.front()) {
  posix_spawn_file_actions_t files;
  posix_spawnattr_t attributes;
  sigset_t none;
  sigset_t all;
  sigemptyset(&none);
  sigfillset(&all);
  ::posix_spawn_file_actions_init(&files);
  ::posix_spawnattr_init(&attributes);
  ::posix_spawn_file_actions_adddup2(&files, input, STDIN_FILENO);
  ::posix_spawn_file_actions_adddup2(&files, output, STDOUT_FILENO);
  ::posix_spawn_file_actions_adddup2(&files, errors, STDERR_FILENO);
  ::posix_spawn_file_actions_addclosefrom_np(&files, STDERR_FILENO + 1);
  ::posix_spawnattr_setsigmask(&attributes, &none);
  ::posix_spawnattr_setsigdefault(&attributes, &all);
  ::posix_spawnattr_setpgroup(&attributes, 0);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
  const int failed =
      ::posix_spawn(&pid_, path.c_str(), &files, &attributes, pointers_to(words).data(), pointers_to(settings).data());
  ::posix_spawn_file_actions_destroy(&files);
  ::posix_spawnattr_destroy(&attributes);
  if (failed != 0) {
    pid_ = -1;
    throw_errno("run " + path, failed);
  }
}

enum class pipe_state { open, ended, full };

// Takes what is there (at most 64 KiB a call) until `kept` has `most`; what is over is read and counts as full.
pipe_state drain(int from, std::string& kept, std::size_t most) {
  std::array<char, 4096> part;
  for (int turn = 0; turn < 16; ++turn) {
    const auto size = ::read(from, part.data(), part.size());
    if (size == 0) return pipe_state::ended;
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return errno == EAGAIN ? pipe_state::open : pipe_state::ended;
    const auto room = most - kept.size();
    kept.append(part.data(), std::min(static_cast<std::size_t>(size), room));
    if (static_cast<std::size_t>(size) > room) return pipe_state::full;
  }
  return pipe_state::open;
}

// What it says until it has ended.
void listen_to(const std::string& name, int output, int errors, int ended, std::chrono::milliseconds patience,
               program_result& said) {
  const auto deadline = clock::now() + patience;
  std::array<pollfd, 3> waiting{pollfd{ended, POLLIN, 0}, pollfd{output, POLLIN, 0}, pollfd{errors, POLLIN, 0}};
  const auto take = [&] {
    const auto state = drain(output, said.output, most_output);
    if (state == pipe_state::full) throw_errno(name + ": it says more than 1 MiB", EMSGSIZE);
    return state;
  };
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - clock::now()).count();
    if (left <= 0) {
      const auto seconds = std::chrono::ceil<std::chrono::seconds>(patience).count();
      throw_errno(name + ": no end after " + std::to_string(seconds) + (seconds == 1 ? " second" : " seconds"),
                  ETIMEDOUT);
    }
    for (auto& w : waiting) w.revents = 0;
    if (::poll(waiting.data(), waiting.size(), static_cast<int>(left)) < 0 && errno != EINTR) {
      throw_errno(name + ": poll");
    }
    if (waiting[1].revents != 0 && take() == pipe_state::ended) waiting[1].fd = -1;
    if (waiting[2].revents != 0 && drain(errors, said.errors, most_errors) == pipe_state::ended) waiting[2].fd = -1;
    if (waiting[0].revents != 0) break;
  }
  // What it said last is in the pipes: 64 KiB each.
  for (int turn = 0; turn < 2 && waiting[1].fd >= 0; ++turn) take();
  if (waiting[2].fd >= 0) drain(errors, said.errors, most_errors);
}
}  // namespace

std::optional<std::string> find_program(std::string_view name) {
  if (name.empty() || name.find_first_of(std::string_view("/\0", 2)) != std::string_view::npos) return std::nullopt;
  for (const char* directory : {"/usr/sbin/", "/sbin/", "/usr/bin/", "/bin/"}) {
    auto path = directory + std::string(name);
    if (::access(path.c_str(), X_OK) == 0) return path;
  }
  return std::nullopt;
}

program_result run_program(const char* name, std::span<const std::string> arguments, std::string_view input,
                           std::chrono::milliseconds patience, std::span<const std::string> settings) {
  const std::string named(name);
  const auto path = find_program(named);
  if (!path) throw_errno(named + ": not found", ENOENT);
  std::vector<std::string> words{named};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<std::string> environment{"PATH=/usr/sbin:/sbin:/usr/bin:/bin", "LC_ALL=C"};
  environment.insert(environment.end(), settings.begin(), settings.end());
  const auto file = memory_file(named, input);
  pipe_ends output(named);
  pipe_ends errors(named);
  program_result said;
  child running(*path, std::move(words), std::move(environment), file.get(), output.theirs.get(), errors.theirs.get());
  output.theirs.reset();
  errors.theirs.reset();
  listen_to(named, output.ours.get(), errors.ours.get(), running.watch().get(), patience, said);
  said.status = running.status();
  while (!said.errors.empty() && said.errors.back() == '\n') said.errors.pop_back();
  return said;
}

}  // namespace lanloom::os
