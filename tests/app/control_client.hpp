// SPDX-License-Identifier: Apache-2.0
// control_client.hpp - a client of the control socket that may misbehave in every way, and a directory for sockets.
#pragma once

#include <lanloom/app/control.hpp>

#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <string_view>

namespace lanloom::app::test {

// Removed with everything in it when the object dies.
class temporary_directory {
 public:
  temporary_directory() {
    std::string name = "/tmp/lanloom-test-XXXXXX";
    if (::mkdtemp(name.data()) == nullptr) os::throw_errno("mkdtemp");
    path_ = name;
  }
  ~temporary_directory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  temporary_directory(const temporary_directory&) = delete;
  temporary_directory& operator=(const temporary_directory&) = delete;
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  [[nodiscard]] std::string operator/(const char* name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

class control_client {
 public:
  explicit control_client(const std::string& path) : fd_(connect_control(path)) {
    if (!fd_) throw std::runtime_error("nobody listens at " + path);
  }
  void send(std::string_view text) const {
    if (::send(fd_.get(), text.data(), text.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(text.size())) {
      os::throw_errno("send to the control socket");
    }
  }
  // Sends what still goes; false when the server has closed.
  [[nodiscard]] bool offer(std::string_view text) const {
    return ::send(fd_.get(), text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT) >= 0 || errno == EAGAIN;
  }
  [[nodiscard]] bool readable(std::chrono::milliseconds within) const {
    pollfd p{fd_.get(), POLLIN, 0};
    return ::poll(&p, 1, static_cast<int>(within.count())) == 1;
  }
  [[nodiscard]] bool closed_by_server(std::chrono::milliseconds within) const {
    pollfd p{fd_.get(), POLLRDHUP, 0};
    return ::poll(&p, 1, static_cast<int>(within.count())) == 1;
  }
  // All until the server closes; throws when it does not within 10 s of silence.
  [[nodiscard]] std::string read_all() const {
    std::string all;
    std::array<char, 65536> part;
    for (;;) {
      if (!readable(std::chrono::seconds(10))) throw std::runtime_error("the server neither answers nor closes");
      const ssize_t n = ::read(fd_.get(), part.data(), part.size());
      if (n <= 0) return all;  // a reset is the end too: the server closed with bytes of ours unread
      all.append(part.data(), static_cast<std::size_t>(n));
    }
  }
  [[nodiscard]] int fd() const { return fd_.get(); }

 private:
  os::unique_fd fd_;
};

// Sends a request and no more, and reads the answer.
inline std::string exchange(const std::string& path, std::string_view request) {
  const control_client client(path);
  static_cast<void>(client.offer(request));
  ::shutdown(client.fd(), SHUT_WR);
  return client.read_all();
}

}  // namespace lanloom::app::test
