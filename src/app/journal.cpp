// SPDX-License-Identifier: Apache-2.0
#include <lanloom/app/journal.hpp>

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <stdexcept>
#include <thread>

namespace lanloom::app {

namespace {
void write_whole(int fd, std::string_view text, const std::string& file) {
  while (!text.empty()) {
    const auto written = ::write(fd, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) os::throw_errno("write " + file);
    text.remove_prefix(static_cast<std::size_t>(written));
  }
}

void make_directory_of(const std::filesystem::path& file) {
  const auto directory = file.parent_path();
  if (::mkdir(directory.c_str(), 0755) != 0 && errno != EEXIST) os::throw_errno("create " + directory.string());
}

// Little more than a journal may have. Nothing when there is no such file.
std::optional<std::string> read_whole(const std::string& file) {
  const os::unique_fd fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (!fd && errno == ENOENT) return std::nullopt;
  if (!fd) os::throw_errno("open " + file);
  std::string text;
  std::array<char, 4096> part;
  while (text.size() <= journal::max_size) {
    const auto size = ::read(fd.get(), part.data(), part.size());
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) os::throw_errno("read " + file);
    if (size == 0) break;
    text.append(part.data(), static_cast<std::size_t>(size));
  }
  return text;
}

// The lock is on a file of its own: the journal itself is replaced by others.
std::string lock_path(const std::filesystem::path& file) { return file.string() + ".lock"; }

// False where another pass holds it.
bool takes_lock(const os::unique_fd& fd, const std::string& path) {
  struct flock whole {};
  whole.l_type = F_WRLCK;
  whole.l_whence = SEEK_SET;
  if (::fcntl(fd.get(), F_OFD_SETLK, &whole) == 0) return true;
  if (errno != EAGAIN && errno != EACCES && errno != EINTR) os::throw_errno("lock " + path);
  return false;
}

os::unique_fd lock_of(const std::filesystem::path& file) {
  const auto path = lock_path(file);
  const auto deadline = std::chrono::steady_clock::now() + journal::patience;
  for (;;) {
    os::unique_fd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!fd) os::throw_errno("open " + path);
    struct stat now {};
    const bool held = takes_lock(fd, path);
    // Whoever removes the journal removes the lock too, under our hands perhaps.
    if (held && ::fstat(fd.get(), &now) == 0 && now.st_nlink > 0) return fd;
    if (std::chrono::steady_clock::now() >= deadline) {
      throw std::runtime_error(path + ": another lanloom command holds it for too long; see what hangs: fuser " + path);
    }
    if (!held) std::this_thread::sleep_for(std::chrono::milliseconds{5});
  }
}

std::string_view boot_of(std::string_view origin) noexcept { return origin.substr(0, origin.find(' ')); }
}  // namespace

journal_content parse_journal(std::string_view text, std::string_view origin) {
  journal_content content{journal_state::good, {}};
  if (text.size() > journal::max_size) return {journal_state::damaged, {}};
  const auto end_of_first = text.find('\n');
  if (end_of_first == std::string_view::npos) return {journal_state::other_boot, {}};
  const auto first = text.substr(0, end_of_first);
  if (boot_of(first) != boot_of(origin)) return {journal_state::other_boot, {}};
  if (first != origin) content.state = journal_state::other_netns;
  for (text.remove_prefix(end_of_first + 1);;) {
    const auto end = text.find('\n');
    if (end == std::string_view::npos) return content;
    auto entry = parse_journal_entry(text.substr(0, end));
    if (!entry) {
      if (content.state == journal_state::good) content.state = journal_state::damaged;
      return content;
    }
    content.entries.push_back(std::move(*entry));
    text.remove_prefix(end + 1);
  }
}

journal_content read_journal(const std::filesystem::path& file, std::string_view origin) {
  const auto text = read_whole(file.string());
  return text ? parse_journal(*text, origin) : journal_content{};
}

void write_journal(const std::filesystem::path& file, std::string_view origin,
                   const std::vector<journal_entry>& entries) {
  if (entries.empty()) {
    if (::unlink(file.c_str()) != 0 && errno != ENOENT) os::throw_errno("remove " + file.string());
    return;
  }
  make_directory_of(file);
  const auto fresh = file.string() + ".new";
  std::string text = std::string(origin) + "\n";
  for (const auto& e : entries) text += to_string(e) + "\n";
  if (::unlink(fresh.c_str()) != 0 && errno != ENOENT) os::throw_errno("remove " + fresh);
  const os::unique_fd fd(::open(fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd) os::throw_errno("create " + fresh);
  write_whole(fd.get(), text, fresh);
  if (::rename(fresh.c_str(), file.c_str()) != 0) os::throw_errno("replace " + file.string());
}

std::string read_origin() {
  const std::string file = "/proc/sys/kernel/random/boot_id";
  auto text = read_whole(file);
  if (!text) os::throw_errno("open " + file, ENOENT);
  while (!text->empty() && text->back() == '\n') text->pop_back();
  return *text + " " + std::filesystem::read_symlink("/proc/thread-self/ns/net").string();
}

journal::journal(const std::filesystem::path& file, std::string origin) : file_(file), origin_(std::move(origin)) {
  make_directory_of(file_);
  lock_ = lock_of(file_);
  const auto text = read_whole(file_.string());
  if (!text) return;
  auto content = parse_journal(*text, origin_);
  found_ = content.state;
  if (found_ == journal_state::good || found_ == journal_state::damaged) entries_ = std::move(content.entries);
  if (found_ == journal_state::good) size_ = text->rfind('\n') + 1;
}

void journal::append(const journal_entry& e) {
  if (contains(entries_, e)) return;
  const auto line = to_string(e) + "\n";
  // What could not be read back must not be done.
  if (size_ + line.size() > max_size || parse_journal_entry(std::string_view(line).substr(0, line.size() - 1)) != e) {
    os::throw_errno("write to " + file_.string() + ": " + to_string(e), EMSGSIZE);
  }
  if (size_ == 0) {
    auto all = entries_;
    all.push_back(e);
    return replace(std::move(all));
  }
  if (!fd_) {
    fd_.reset(::open(file_.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW));
    if (!fd_) os::throw_errno("open " + file_.string());
    // A torn last line would spoil the next one.
    if (::ftruncate(fd_.get(), static_cast<off_t>(size_)) != 0) os::throw_errno("cut " + file_.string());
  }
  write_whole(fd_.get(), line, file_.string());
  size_ += line.size();
  entries_.push_back(e);
}

void journal::retract(const journal_entry& e) {
  if (!contains(entries_, e)) return;
  auto rest = entries_;
  rest.erase(std::remove(rest.begin(), rest.end(), e), rest.end());
  replace(std::move(rest));
}

void journal::replace(std::vector<journal_entry> entries) {
  // As in append: what could not be read back must not be done.
  std::size_t size = origin_.size() + 1;
  for (const auto& e : entries) {
    const auto line = to_string(e);
    size += line.size() + 1;
    if (size > max_size || parse_journal_entry(line) != e) {
      os::throw_errno("write to " + file_.string() + ": " + line, EMSGSIZE);
    }
  }
  fd_.reset();
  write_journal(file_, origin_, entries);
  size_ = entries.empty() ? 0 : size;
  entries_ = std::move(entries);
}

journal::~journal() {
  if (lock_ && size_ == 0) ::unlink(lock_path(file_).c_str());
}

}  // namespace lanloom::app
