// SPDX-License-Identifier: Apache-2.0
// control.hpp - the control socket: HTTP over a unix socket, read only. Server in the node, client in the commands.
//
// GET /v1/status, GET /v1/fdb; anything else is 404 or 405 (control_request.hpp), and nothing on the socket changes
// anything. Who may ask: root and the control group, by the socket file's mode, and again by what the kernel says of
// who connected (403 otherwise), for a mode is soon changed. Bounds: 16 connections at once (more wait in the backlog),
// 8 KiB of header, no body, 5 s for a request and its answer; a request that breaks them, or is not HTTP, is closed
// without an answer. Hostile requests are parsed in the node, which has no rights.
#pragma once

#include <lanloom/os/unique_fd.hpp>

#include <sys/types.h>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>

#include <chrono>
#include <cstddef>
#include <functional>
#include <list>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

namespace lanloom::app {

// Answers a path with a JSON text, or nothing when there is no such thing.
using control_source = std::function<std::optional<std::string>(std::string_view path)>;

class control_server {
 public:
  static constexpr std::size_t max_connections = 16;

  // `group`: the control group. REQUIRES the io_context to outlive this, and not to run after this is gone.
  control_server(boost::asio::io_context& io, os::unique_fd listener, gid_t group, control_source source);
  ~control_server();
  control_server(const control_server&) = delete;
  control_server& operator=(const control_server&) = delete;

 private:
  class connection;
  void wait();
  [[nodiscard]] bool accept();
  void pause();
  void close(const connection& done);

  boost::asio::io_context& io_;
  boost::asio::posix::stream_descriptor listener_;
  boost::asio::steady_timer pause_;
  gid_t group_;
  control_source source_;
  std::list<connection> connections_;
  bool waiting_ = false;
};

// /run/lanloom/<instance>.sock
[[nodiscard]] std::string control_path(std::string_view instance);

// A socket connected to the one at `path`; nothing when nobody listens there. Throws permission_error
// (permission_error.hpp), std::runtime_error when nobody accepts in time, and std::system_error.
[[nodiscard]] os::unique_fd connect_control(const std::string& path,
                                            std::chrono::seconds patience = std::chrono::seconds(5));

struct not_running : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// The body that the node behind the control socket `socket` answers `path` with. A node that hangs up without a word is
// being replaced by another, so that is asked, once. Throws not_running when nobody listens, what connect_control
// throws, and std::runtime_error when the answer does not come in time or is not 200.
[[nodiscard]] std::string ask(const std::string& socket, std::string_view path,
                              std::chrono::seconds patience = std::chrono::seconds(5));

}  // namespace lanloom::app
