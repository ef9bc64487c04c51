// SPDX-License-Identifier: Apache-2.0
#include <lanloom/app/control.hpp>
#include <lanloom/app/control_request.hpp>
#include <lanloom/app/host.hpp>
#include <lanloom/app/instance_directory.hpp>
#include <lanloom/os/listener.hpp>

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>

#include <chrono>
#include <cstring>
#include <optional>
#include <stdexcept>

namespace lanloom::app {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using local = asio::local::stream_protocol;
using stream = beast::basic_stream<local>;

namespace {
constexpr std::chrono::seconds request_deadline{5};
constexpr std::chrono::milliseconds accept_pause{100};
constexpr std::uint64_t max_answer = 64 * 1024 * 1024;
}  // namespace

// One request, one answer. The server owns it; each of its handlers either goes on or ends it, as the last thing it
// does.
class control_server::connection {
 public:
  connection(control_server& server, local::socket&& socket, bool may_ask)
      : server_(server), stream_(std::move(socket)), may_ask_(may_ask) {}

  void start() {
    stream_.expires_after(request_deadline);
    http::async_read_header(stream_, buffer_, parser_, [this](beast::error_code error, std::size_t) {
      if (error || parser_.announces_body()) return server_.close(*this);
      answer();
    });
  }

 private:
  void answer() {
    answer_ = may_ask_ ? answer_to(parser_.get(), server_.source_) : refusal_of(parser_.get());
    http::async_write(stream_, answer_, [this](beast::error_code, std::size_t) { server_.close(*this); });
  }

  control_server& server_;
  stream stream_;
  bool may_ask_;
  beast::flat_buffer buffer_{control_parser::max_header};
  control_parser parser_;
  control_answer answer_;
};

control_server::control_server(asio::io_context& io, os::unique_fd listener, gid_t group, control_source source)
    : io_(io), listener_(io, listener.release()), pause_(io), group_(group), source_(std::move(source)) {
  wait();
}

control_server::~control_server() = default;

void control_server::wait() {
  if (waiting_ || connections_.size() >= max_connections) return;
  waiting_ = true;
  listener_.async_wait(asio::posix::stream_descriptor::wait_read, [this](const boost::system::error_code& error) {
    waiting_ = false;
    if (error) return;
    if (!accept()) return pause();
    wait();
  });
}

// False when the kernel has no room for a connection.
bool control_server::accept() {
  os::unique_fd fd(::accept4(listener_.native_handle(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (!fd) return errno == EAGAIN || errno == ECONNABORTED || errno == EINTR;
  const bool may_ask = os::peer_is_root_or_in(fd.get(), group_);
  local::socket socket(io_);
  boost::system::error_code error;
  socket.assign(local(), fd.get(), error);
  if (error) return false;
  static_cast<void>(fd.release());
  connections_.emplace_back(*this, std::move(socket), may_ask).start();
  return true;
}

// The caller stays in the backlog and the listener readable: to wait for that again at once would be a busy loop.
void control_server::pause() {
  waiting_ = true;
  pause_.expires_after(accept_pause);
  pause_.async_wait([this](const boost::system::error_code& error) {
    waiting_ = false;
    if (!error) wait();
  });
}

void control_server::close(const connection& done) {
  connections_.remove_if([&done](const connection& c) { return &c == &done; });
  wait();
}

std::string control_path(std::string_view instance) { return instance_directory / (std::string(instance) + ".sock"); }

os::unique_fd connect_control(const std::string& path, std::chrono::seconds patience) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) os::throw_errno(path, ENAMETOOLONG);
  std::memcpy(address.sun_path, path.data(), path.size());
  os::unique_fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd) os::throw_errno("open a unix socket");
  // With a full backlog connect waits as long as a send would.
  const timeval limit{patience.count(), 0};
  if (::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) != 0) os::throw_errno(path);
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return fd;
  if (errno == ENOENT || errno == ECONNREFUSED) return {};
  if (errno == EACCES) throw permission_error(path + ": permission denied; run as root or join its group");
  if (errno == EAGAIN) throw std::runtime_error(path + ": the daemon does not answer");
  os::throw_errno(path);
}

namespace {

// A node that another one takes over from, or that crashed, takes the connections with it that it had accepted.
bool was_left(const beast::error_code& outcome) {
  return outcome == http::error::end_of_stream || outcome == asio::error::connection_reset ||
         outcome == asio::error::broken_pipe;
}

using answer_parser = http::response_parser<http::string_body>;

beast::error_code ask_once(const std::string& socket, std::string_view path, std::chrono::seconds patience,
                           answer_parser& answer) {
  os::unique_fd fd = connect_control(socket, patience);
  if (!fd) {
    throw not_running(std::filesystem::path(socket).stem().string() + " does not run here; start it with `lanloom up`");
  }
  asio::io_context io;
  stream connection(io);
  connection.socket().assign(local(), fd.release());

  http::request<http::empty_body> request(http::verb::get, {path.data(), path.size()}, 11);
  request.set(http::field::host, "lanloom");
  beast::flat_buffer buffer;
  answer.body_limit(max_answer);
  beast::error_code outcome = asio::error::would_block;
  connection.expires_after(patience);
  http::async_write(connection, request, [&](beast::error_code written, std::size_t) {
    if (written) {
      outcome = written;
      return;
    }
    http::async_read(connection, buffer, answer, [&](beast::error_code read, std::size_t) { outcome = read; });
  });
  io.run();
  return outcome;
}

}  // namespace

std::string ask(const std::string& socket, std::string_view path, std::chrono::seconds patience) {
  std::optional<answer_parser> answer(std::in_place);
  beast::error_code outcome = ask_once(socket, path, patience, *answer);
  if (was_left(outcome)) outcome = ask_once(socket, path, patience, answer.emplace());
  if (outcome) throw std::runtime_error(socket + ": the daemon does not answer: " + outcome.message());
  auto& message = answer->get();
  if (message.result() == http::status::forbidden) throw permission_error(socket + ": " + message.body());
  if (message.result() != http::status::ok) {
    throw std::runtime_error(socket + ": the daemon refused " + std::string(path));
  }
  return std::move(message.body());
}

}  // namespace lanloom::app
