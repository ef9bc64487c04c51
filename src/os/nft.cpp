// SPDX-License-Identifier: Apache-2.0
#include <lanloom/os/nft.hpp>
#include <lanloom/os/unique_fd.hpp>

#include <fcntl.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <memory>
#include <optional>
#include <string>

namespace lanloom::os {

namespace {
using clock = std::chrono::steady_clock;
constexpr auto patience = std::chrono::seconds(10);
constexpr std::size_t most_words = 4096;

const char* nft_program() noexcept {
  for (const char* path : {"/usr/sbin/nft", "/sbin/nft", "/usr/bin/nft", "/bin/nft"}) {
    if (::access(path, X_OK) == 0) return path;
  }
  return nullptr;
}

// A file in memory instead of a pipe: no deadlock between two full pipes, no SIGPIPE when nft ends early.
unique_fd memory_file(std::string_view text) {
  unique_fd file(::memfd_create("nft", MFD_CLOEXEC));
  if (!file) throw_errno("nft: memory for rules");
  while (!text.empty()) {
    const auto written = ::write(file.get(), text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) throw_errno("nft: memory for rules");
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  if (::lseek(file.get(), 0, SEEK_SET) != 0) throw_errno("nft: memory for rules");
  return file;
}

// A running nft; killed and reaped with the object.
class child {
 public:
  child(const char* program, int input, int errors);
  ~child() {
    // Only what waits for us is ours: another process may have the pid of a child that somebody else has reaped.
    if (pid_ <= 0 || ::waitpid(pid_, nullptr, WNOHANG) != 0) return;
    ::kill(pid_, SIGKILL);
    while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) continue;
  }
  child(const child&) = delete;
  child& operator=(const child&) = delete;

  // Readable once it has ended.
  [[nodiscard]] unique_fd watch() const {
    unique_fd fd(static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0U)));
    if (!fd) throw_errno("nft: watch it");
    return fd;
  }
  // Waits for its end. True: it succeeded.
  [[nodiscard]] bool reap() {
    int status = 0;
    while (::waitpid(pid_, &status, 0) < 0) {
      if (errno != EINTR) throw_errno("nft: wait for it");
    }
    pid_ = -1;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
  }

 private:
  pid_t pid_ = -1;
};

child::child(const char* program, int input, int errors) {
  posix_spawn_file_actions_t files;
  posix_spawnattr_t attributes;
  sigset_t none;
  sigset_t all;
  sigemptyset(&none);
  sigfillset(&all);
  ::posix_spawn_file_actions_init(&files);
  ::posix_spawnattr_init(&attributes);
  ::posix_spawn_file_actions_adddup2(&files, input, STDIN_FILENO);
  ::posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  ::posix_spawn_file_actions_adddup2(&files, errors, STDERR_FILENO);
  ::posix_spawn_file_actions_addclosefrom_np(&files, STDERR_FILENO + 1);
  ::posix_spawnattr_setsigmask(&attributes, &none);
  ::posix_spawnattr_setsigdefault(&attributes, &all);
  ::posix_spawnattr_setpgroup(&attributes, 0);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
  std::array<std::string, 3> words{"nft", "-f", "-"};
  std::array<std::string, 2> settings{"PATH=/usr/sbin:/sbin:/usr/bin:/bin", "LC_ALL=C"};
  const std::array<char*, 4> arguments{words[0].data(), words[1].data(), words[2].data(), nullptr};
  const std::array<char*, 3> environment{settings[0].data(), settings[1].data(), nullptr};
  const int failed = ::posix_spawn(&pid_, program, &files, &attributes, arguments.data(), environment.data());
  ::posix_spawn_file_actions_destroy(&files);
  ::posix_spawnattr_destroy(&attributes);
  if (failed != 0) {
    pid_ = -1;
    throw_errno(std::string("run ") + program, failed);
  }
}

// Takes what is there (at most 64 KiB a call), keeping the first 4 KiB of all. False at its end.
bool drain(int from, std::string& words) {
  std::array<char, 4096> part;
  for (int turn = 0; turn < 16; ++turn) {
    const auto size = ::read(from, part.data(), part.size());
    if (size == 0) return false;
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return errno == EAGAIN;
    words.append(part.data(), std::min(static_cast<std::size_t>(size), most_words - words.size()));
  }
  return true;
}

// What it said until it ended.
std::string listen_to(int errors, const unique_fd& ended, clock::time_point deadline) {
  std::string words;
  std::array<pollfd, 2> waiting{pollfd{ended.get(), POLLIN, 0}, pollfd{errors, POLLIN, 0}};
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - clock::now()).count();
    if (left <= 0) throw_errno("nft: no end after 10 seconds", ETIMEDOUT);
    if (::poll(waiting.data(), waiting.size(), static_cast<int>(left)) < 0 && errno != EINTR) throw_errno("nft: poll");
    if (waiting[1].revents != 0 && !drain(errors, words)) waiting[1].fd = -1;
    if (waiting[0].revents != 0) break;
    waiting[0].revents = waiting[1].revents = 0;
  }
  drain(errors, words);
  while (!words.empty() && words.back() == '\n') words.pop_back();
  return words;
}

void check_name(std::string_view name) {
  const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
  const auto allowed = [&](char c) { return letter(c) || (c >= '0' && c <= '9') || c == '-' || c == '_'; };
  if (name.empty() || name.size() > 64 || !letter(name.front()) || !std::all_of(name.begin(), name.end(), allowed)) {
    throw_errno("nft table \"" + std::string(name) + "\"", EINVAL);
  }
}
}  // namespace

bool nft_present() noexcept { return nft_program() != nullptr; }

void nft_apply(std::string_view ruleset) {
  const char* program = nft_program();
  if (program == nullptr) throw_errno("nft: not found; install the package nftables", ENOENT);
  const auto input = memory_file(ruleset);
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) throw_errno("nft: pipe");
  const unique_fd errors(ends[0]);
  unique_fd errors_in(ends[1]);
  if (::fcntl(errors.get(), F_SETFL, O_NONBLOCK) != 0) throw_errno("nft: pipe");
  const auto deadline = clock::now() + patience;
  child nft(program, input.get(), errors_in.get());
  errors_in.reset();
  const auto words = listen_to(errors.get(), nft.watch(), deadline);
  if (!nft.reap()) throw nft_refused("nft: " + (words.empty() ? std::string("it failed without a word") : words));
}

bool nft_table_exists(std::string_view name) {
  check_name(name);
  const auto context = "ask for nft table " + std::string(name);
  const std::unique_ptr<mnl_socket, int (*)(mnl_socket*)> socket(mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC),
                                                                 &mnl_socket_close);
  if (!socket || mnl_socket_bind(socket.get(), 0, MNL_SOCKET_AUTOPID) != 0) throw_errno(context);

  alignas(nlmsghdr) std::array<char, 8192> bytes{};
  auto* asked = mnl_nlmsg_put_header(bytes.data());
  asked->nlmsg_type = (NFNL_SUBSYS_NFTABLES << 8) | NFT_MSG_GETTABLE;
  asked->nlmsg_flags = NLM_F_REQUEST;
  auto* family = static_cast<nfgenmsg*>(mnl_nlmsg_put_extra_header(asked, sizeof(nfgenmsg)));
  family->nfgen_family = NFPROTO_INET;
  family->version = NFNETLINK_V0;
  mnl_attr_put_strz(asked, NFTA_TABLE_NAME, std::string(name).c_str());
  if (mnl_socket_sendto(socket.get(), asked, asked->nlmsg_len) < 0) throw_errno(context);

  ssize_t size = -1;
  while ((size = mnl_socket_recvfrom(socket.get(), bytes.data(), bytes.size())) < 0) {
    if (errno != EINTR) throw_errno(context);
  }
  const auto* answer = reinterpret_cast<const nlmsghdr*>(bytes.data());
  if (!mnl_nlmsg_ok(answer, static_cast<int>(size))) throw_errno(context, EBADMSG);
  if (answer->nlmsg_type != NLMSG_ERROR) return true;
  const auto* refusal = static_cast<const nlmsgerr*>(mnl_nlmsg_get_payload(answer));
  if (mnl_nlmsg_get_payload_len(answer) < sizeof *refusal) throw_errno(context, EBADMSG);
  // EINVAL, EOPNOTSUPP: a kernel without nf_tables has no table either.
  if (refusal->error == -ENOENT || refusal->error == -EINVAL || refusal->error == -EOPNOTSUPP) return false;
  throw_errno(context, -refusal->error);
}

void nft_delete_table(std::string_view name) {
  if (!nft_table_exists(name)) return;
  // Declared first, so that a table that went away meanwhile is no error.
  const auto table = "table inet " + std::string(name);
  nft_apply(table + " {}\ndelete " + table + "\n");
}

}  // namespace lanloom::os
