// SPDX-License-Identifier: Apache-2.0
#include <lanloom/app/permission_error.hpp>
#include <lanloom/app/secret_file.hpp>
#include <lanloom/os/unique_fd.hpp>

#include <fcntl.h>
#include <sys/stat.h>

#include <array>
#include <cstdio>
#include <string>
#include <string_view>

namespace lanloom::app {

namespace {

constexpr std::size_t largest_file = 4096;

// Wiped whichever way the function is left.
struct wiped_text {
  std::array<std::uint8_t, largest_file + 1> bytes{};
  wiped_text() = default;
  wiped_text(const wiped_text&) = delete;
  wiped_text& operator=(const wiped_text&) = delete;
  ~wiped_text() { crypto::wipe(bytes); }
};

std::string making(const std::string& file, secret_kind kind) {
  switch (kind) {
    case secret_kind::private_key:
      return "`lanloom genkey -o " + file + "`";
    case secret_kind::shared_secret:
      return "`(umask 077; lanloom genpsk > " + file + ")`";
  }
  return {};
}

void check_owner_and_mode(const std::string& file, const struct stat& status) {
  if (!S_ISREG(status.st_mode)) throw secret_file_error(file + ": it is not a regular file; name the key file");
  if (status.st_uid != 0 && status.st_uid != ::geteuid()) {
    const auto us = std::to_string(::geteuid());
    throw secret_file_error(file + ": it belongs to user " + std::to_string(status.st_uid) + "; run chown " + us + " " +
                            file);
  }
  if ((status.st_mode & 0077U) != 0) {
    char mode[8];
    std::snprintf(mode, sizeof mode, "%04o", static_cast<unsigned>(status.st_mode & 07777U));
    throw secret_file_error(file + ": others can read it (mode " + mode + "); run chmod 600 " + file);
  }
}

std::string_view one_line(std::string_view text) noexcept {
  if (text.ends_with('\n')) text.remove_suffix(1);
  if (text.ends_with('\r')) text.remove_suffix(1);
  return text;
}

}  // namespace

crypto::secret<32> read_secret_file(const std::filesystem::path& path, secret_kind kind) {
  const std::string file = path.string();
  // Non-blocking, so that a FIFO in the file's place is refused and not waited for.
  const os::unique_fd fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!fd) {
    const int reason = errno;
    if (reason == ENOENT) throw secret_file_error(file + ": no such file; make it with " + making(file, kind));
    const auto refusal = file + ": it cannot be opened (" + std::system_category().message(reason) +
                         "); run this as the file's owner or as root";
    if (reason == EACCES || reason == EPERM) throw permission_error(refusal);
    throw secret_file_error(refusal);
  }
  struct stat status {};
  if (::fstat(fd.get(), &status) != 0) throw secret_file_error(file + ": it cannot be examined; check the disk");
  check_owner_and_mode(file, status);

  wiped_text text;
  std::size_t size = 0;
  while (size < text.bytes.size()) {
    const auto n = ::read(fd.get(), text.bytes.data() + size, text.bytes.size() - size);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0)
      throw secret_file_error(file + ": it cannot be read (" + std::system_category().message(errno) +
                              "); check the disk");
    if (n == 0) break;
    size += static_cast<std::size_t>(n);
  }
  if (size > largest_file)
    throw secret_file_error(file + ": it is larger than 4 KiB, which no key is; name the key file");
  if (size == 0)
    throw secret_file_error(file + ": it is empty; remove it, then make a new one with " + making(file, kind));
  auto secret = crypto::parse_secret(one_line({reinterpret_cast<const char*>(text.bytes.data()), size}));
  if (!secret)
    throw secret_file_error(file + ": it is not one line of base64 of 32 bytes; remove it, then make a new one with " +
                            making(file, kind));
  return std::move(*secret);
}

}  // namespace lanloom::app
