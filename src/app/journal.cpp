// SPDX-License-Identifier: Apache-2.0
#include "mac_text.hpp"

#include <lanloom/app/journal.hpp>

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cstdio>

namespace lanloom::app {

namespace {
constexpr std::array<std::string_view, 3> kind_names{"bridge", "tap", "veth"};

struct printer {
  std::string operator()(const made_link& e) const {
    return std::string(kind_names[static_cast<std::size_t>(e.kind)]) + " " + e.name + " " + format_mac(e.mac);
  }
  std::string operator()(const made_netns& e) const { return "netns " + e.name; }
  std::string operator()(const made_table& e) const { return "table " + e.name; }
  std::string operator()(const needs_forwarding& e) const { return e.v6 ? "forwarding ipv6" : "forwarding ipv4"; }
  std::string operator()(const changed_sysctl& e) const {
    return "sysctl " + e.key + " " + e.old_value + " " + e.new_value;
  }
};

// Words between single spaces; none when there are more than four, or an empty one, or an unprintable byte.
std::vector<std::string_view> words_of(std::string_view line) {
  std::vector<std::string_view> words;
  if (std::any_of(line.begin(), line.end(), [](char c) { return c < ' ' || c == '\x7f'; })) return {};
  for (;;) {
    const auto space = line.find(' ');
    words.push_back(line.substr(0, space));
    if (words.back().empty() || words.size() > 4) return {};
    if (space == std::string_view::npos) return words;
    line.remove_prefix(space + 1);
  }
}

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

std::string_view boot_of(std::string_view origin) noexcept { return origin.substr(0, origin.find(' ')); }
}  // namespace

std::string to_string(const journal_entry& e) { return std::visit(printer{}, e); }

std::optional<journal_entry> parse_journal_entry(std::string_view line) {
  if (line.size() > journal::max_line) return std::nullopt;
  const auto words = words_of(line);
  if (words.size() < 2) return std::nullopt;
  const auto& what = words[0];
  const std::string name(words[1]);
  if (what == "netns" && words.size() == 2) return made_netns{name};
  if (what == "table" && words.size() == 2) return made_table{name};
  if (what == "forwarding" && words.size() == 2 && (name == "ipv4" || name == "ipv6")) {
    return needs_forwarding{name == "ipv6"};
  }
  if (what == "sysctl" && words.size() == 4) {
    return changed_sysctl{name, std::string(words[2]), std::string(words[3])};
  }
  const auto kind = std::find(kind_names.begin(), kind_names.end(), what);
  if (kind == kind_names.end() || words.size() != 3) return std::nullopt;
  const auto mac = parse_mac(words[2]);
  if (!mac) return std::nullopt;
  return made_link{static_cast<link_kind>(kind - kind_names.begin()), name, *mac};
}

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

journal::journal(const std::filesystem::path& file, std::string_view origin) : file_(file.string()) {
  const auto text = read_whole(file_);
  make_directory_of(file);
  const bool goes_on = text && parse_journal(*text, origin).state == journal_state::good;
  fd_.reset(::open(file_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd_) os::throw_errno("open " + file_);
  if (::fchmod(fd_.get(), 0600) != 0) os::throw_errno("change mode of " + file_);
  const auto first = std::string(origin) + "\n";
  // A torn last line would spoil the next one.
  size_ = goes_on ? text->rfind('\n') + 1 : 0;
  if (::ftruncate(fd_.get(), static_cast<off_t>(size_)) != 0) os::throw_errno("cut " + file_);
  if (!goes_on) {
    write_whole(fd_.get(), first, file_);
    size_ = first.size();
  }
  last_ = size_;
}

void journal::append(const journal_entry& e) {
  const auto line = to_string(e) + "\n";
  // What could not be read back must not be done.
  if (size_ + line.size() > max_size || parse_journal_entry(std::string_view(line).substr(0, line.size() - 1)) != e) {
    os::throw_errno("write to " + file_ + ": " + to_string(e), EMSGSIZE);
  }
  write_whole(fd_.get(), line, file_);
  last_ = size_;
  size_ += line.size();
}

void journal::retract() {
  if (::ftruncate(fd_.get(), static_cast<off_t>(last_)) != 0) os::throw_errno("cut " + file_);
  size_ = last_;
}

}  // namespace lanloom::app
