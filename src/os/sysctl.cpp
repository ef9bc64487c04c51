// SPDX-License-Identifier: Apache-2.0
#include <lanloom/os/sysctl.hpp>
#include <lanloom/os/unique_fd.hpp>

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <filesystem>

namespace lanloom::os {

namespace {
constexpr std::string_view root = "/proc/sys/";
constexpr int deepest = 8;  // net/ipv4/conf/NAME/KEY is five

std::string path_of(std::string_view key) {
  std::string_view rest = key;
  for (;;) {
    const auto slash = rest.find('/');
    const auto component = rest.substr(0, slash);
    if (component.empty() || component == "." || component == ".." || component.find('\0') != std::string_view::npos) {
      throw_errno("sysctl " + std::string(key), EINVAL);
    }
    if (slash == std::string_view::npos) break;
    rest.remove_prefix(slash + 1);
  }
  return std::string(root) + std::string(key);
}

// Interfaces come and go while we look: what cannot be listed any more is left out.
void collect(const std::filesystem::path& directory, std::string_view leaf, int depth, std::vector<std::string>& keys) {
  std::error_code gone;
  for (std::filesystem::directory_iterator at(directory, gone), end; !gone && at != end; at.increment(gone)) {
    struct stat found {};
    if (::lstat(at->path().c_str(), &found) != 0) continue;
    if (S_ISDIR(found.st_mode)) {
      if (depth < deepest) collect(at->path(), leaf, depth + 1, keys);
    } else if (S_ISREG(found.st_mode) && (found.st_mode & 0444U) != 0 &&
               (leaf.empty() || at->path().filename() == leaf)) {
      keys.push_back(at->path().string().substr(root.size()));
    }
  }
}
}  // namespace

std::optional<std::string> read_sysctl(std::string_view key) {
  const auto path = path_of(key);
  const unique_fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!file) {
    if (errno == ENOENT || errno == ENOTDIR) return std::nullopt;
    throw_errno("read sysctl " + std::string(key));
  }
  std::array<char, 4096> text;
  const auto size = ::read(file.get(), text.data(), text.size());
  if (size < 0) {
    if (errno == EIO) return std::nullopt;
    throw_errno("read sysctl " + std::string(key));
  }
  std::string_view value(text.data(), static_cast<std::size_t>(size));
  if (!value.empty() && value.back() == '\n') value.remove_suffix(1);
  return std::string(value);
}

void write_sysctl(std::string_view key, std::string_view value) {
  const auto path = path_of(key);
  const auto context = "write sysctl " + std::string(key) + " = " + std::string(value);
  const unique_fd file(::open(path.c_str(), O_WRONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!file) throw_errno(context);
  // The kernel takes a value in one write only.
  const auto written = ::write(file.get(), value.data(), value.size());
  if (written < 0) throw_errno(context);
  if (static_cast<std::size_t>(written) != value.size()) throw_errno(context, EIO);
}

std::vector<std::string> list_sysctls(std::string_view directory, std::string_view leaf) {
  std::vector<std::string> keys;
  collect(path_of(directory), leaf, 0, keys);
  std::sort(keys.begin(), keys.end());
  return keys;
}

}  // namespace lanloom::os
