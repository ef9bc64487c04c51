// SPDX-License-Identifier: Apache-2.0
// udp_load.cpp - a UDP load for compare.sh and flood.sh that costs the machine less than iperf3 does: sendmmsg,
// recvmmsg, a sleep between bursts, no allocation while it measures.
//
//   udp_load serve PORT                    counts what comes, answers questions; until it is killed
//   udp_load rate ADDRESS PORT SIZE        searches the highest rate of datagrams with SIZE bytes of which less
//                                          than 1 % are lost: {"per_second": …, "loss": …}
//   udp_load rtt ADDRESS PORT MBIT SECONDS offers that much in datagrams of 1200 bytes, a few of which are echoed:
//                                          {"p50_ms": …, "p99_ms": …, "loss": …}
//   udp_load flood ADDRESS PORT RATE SECONDS FILE SOURCE...
//                                          sends the datagrams of FILE (each a u16 BE length and as many bytes) over
//                                          and over, RATE of them a second, from each SOURCE in turn: {"per_second": …}
//
// Every datagram carries the number of its trial, so nothing late is counted for the next one. What is sent is counted
// by who sends, what arrives by who serves; both on one machine, but only the sender's clock is read for a figure.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

namespace {

using clock_type = std::chrono::steady_clock;
using std::chrono::duration;
using std::chrono::microseconds;
using std::chrono::milliseconds;

constexpr std::size_t batch = 64;
constexpr std::size_t room = 2048;
constexpr microseconds tick{250};

enum class kind : std::uint32_t { load = 0x6c6c0001, probe, question, answer };

struct header {
  kind what;
  std::uint32_t trial;
  std::uint64_t number;  // of an answer: how many came
  std::uint64_t stamp;
};
constexpr std::size_t smallest = sizeof(header);

[[noreturn]] void throw_errno(const char* what) { throw std::system_error(errno, std::generic_category(), what); }

std::uint64_t nanoseconds() { return static_cast<std::uint64_t>(clock_type::now().time_since_epoch().count()); }

int open_socket() {
  const int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) throw_errno("socket");
  // The tunnel is to be the narrow place, not this socket.
  const int size = 16 << 20;
  if (::setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) != 0) throw_errno("SO_RCVBUFFORCE");
  return fd;
}

// `batch` messages over one block of memory.
struct messages {
  std::vector<std::uint8_t> memory = std::vector<std::uint8_t>(batch * room);
  std::array<iovec, batch> parts{};
  std::array<sockaddr_in, batch> from{};
  std::array<mmsghdr, batch> headers{};

  explicit messages(std::size_t size) {
    for (std::size_t i = 0; i < batch; ++i) {
      parts[i] = {memory.data() + i * room, size};
      headers[i].msg_hdr.msg_iov = &parts[i];
      headers[i].msg_hdr.msg_iovlen = 1;
    }
  }
  [[nodiscard]] header& at(std::size_t i) { return *reinterpret_cast<header*>(memory.data() + i * room); }
};

// ---- serve

void serve(std::uint16_t port) {
  const int fd = open_socket();
  sockaddr_in own{};
  own.sin_family = AF_INET;
  own.sin_port = htons(port);
  if (::bind(fd, reinterpret_cast<const sockaddr*>(&own), sizeof own) != 0) throw_errno("bind");
  messages in(room);
  std::uint32_t trial = 0;
  std::uint64_t arrived = 0;
  while (true) {
    for (std::size_t i = 0; i < batch; ++i) {
      in.headers[i].msg_hdr.msg_name = &in.from[i];
      in.headers[i].msg_hdr.msg_namelen = sizeof in.from[i];
    }
    const int count = ::recvmmsg(fd, in.headers.data(), batch, MSG_WAITFORONE, nullptr);
    if (count < 0 && errno != EINTR) throw_errno("recvmmsg");
    for (int k = 0; k < count; ++k) {
      const auto i = static_cast<std::size_t>(k);
      if (in.headers[i].msg_len < smallest) continue;
      header h = in.at(i);
      if (h.trial != trial && h.what != kind::question) {
        trial = h.trial;
        arrived = 0;
      }
      if (h.what == kind::load || h.what == kind::probe) ++arrived;
      if (h.what == kind::load) continue;
      if (h.what == kind::question) {
        h.what = kind::answer;
        h.number = h.trial == trial ? arrived : 0;
      }
      static_cast<void>(
          ::sendto(fd, &h, sizeof h, 0, reinterpret_cast<const sockaddr*>(&in.from[i]), sizeof in.from[i]));
    }
  }
}

// ---- load

struct outcome {
  std::uint64_t sent = 0;
  std::uint64_t arrived = 0;
  double seconds = 0;
  [[nodiscard]] double offered() const { return static_cast<double>(sent) / seconds; }
  [[nodiscard]] double loss() const { return 1 - static_cast<double>(arrived) / static_cast<double>(sent); }
};

// Calls burst(count, how many went before) so that `rate` a second go out, at most `batch` each time.
template <class Burst>
outcome paced(double rate, duration<double> length, Burst burst) {
  ::prctl(PR_SET_TIMERSLACK, 1);
  outcome result;
  const auto began = clock_type::now();
  auto next = began;
  double behind = 0;  // what could not be sent in time and is given up
  while (true) {
    const duration<double> elapsed = clock_type::now() - began;
    if (elapsed >= length) {
      result.seconds = elapsed.count();
      return result;
    }
    double due = elapsed.count() * rate - behind - static_cast<double>(result.sent);
    const double most = std::max(rate * 0.002, 1.0);
    if (due > most) {
      behind += due - most;
      due = most;
    }
    for (auto left = static_cast<std::size_t>(std::max(due, 0.0)); left > 0;) {
      const std::size_t now = std::min(left, batch);
      burst(now, result.sent);
      result.sent += now;
      left -= now;
    }
    next += tick;
    std::this_thread::sleep_until(next);
  }
}

void send_all(int fd, mmsghdr* headers, std::size_t count) {
  for (std::size_t done = 0; done < count;) {
    const int sent = ::sendmmsg(fd, headers + done, static_cast<unsigned>(count - done), 0);
    if (sent > 0) {
      done += static_cast<std::size_t>(sent);
    } else if (errno == ENOBUFS) {
      ++done;  // dropped on the way out: lost
    } else if (errno != EINTR) {
      throw_errno("sendmmsg");
    }
  }
}

sockaddr_in address_of(const std::string& text, std::uint16_t port) {
  sockaddr_in a{};
  a.sin_family = AF_INET;
  a.sin_port = htons(port);
  if (::inet_pton(AF_INET, text.c_str(), &a.sin_addr) != 1) throw std::runtime_error(text + " is no IPv4 address");
  return a;
}

class sender {
 public:
  sender(const std::string& address, std::uint16_t port, std::size_t size) : fd_(open_socket()), out_(size) {
    if (size < smallest || size > room) throw std::runtime_error("SIZE is not between 24 and 2048");
    const auto to = address_of(address, port);
    if (::connect(fd_, reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0) throw_errno("connect");
  }
  ~sender() { ::close(fd_); }
  sender(const sender&) = delete;
  sender& operator=(const sender&) = delete;

  outcome offer(double rate, duration<double> length) {
    outcome result = load(rate, length);
    result.arrived = ask();
    return result;
  }

  // One trial: bursts at `rate` per second, every `probe_every`th (0: none) to be echoed.
  outcome load(double rate, duration<double> length, std::uint64_t probe_every = 0) {
    ++trial_;
    return paced(rate, length, [&](std::size_t count, std::uint64_t first) { burst(count, first, probe_every); });
  }

  // How much of the last trial arrived. Asks until the count stands still: what is queued in the tunnel still counts.
  std::uint64_t ask() {
    std::uint64_t last = 0;
    for (int same = 0, tries = 0; same < 2; ++tries) {
      if (tries == 100) throw std::runtime_error("who serves does not answer");
      const header question{kind::question, trial_, 0, 0};
      static_cast<void>(::send(fd_, &question, sizeof question, 0));
      std::this_thread::sleep_for(milliseconds(20));
      header h{};
      while (::recv(fd_, &h, sizeof h, MSG_DONTWAIT) == static_cast<ssize_t>(sizeof h)) {
        if (h.what != kind::answer || h.trial != trial_) continue;
        same = h.number == last ? same + 1 : 0;
        last = h.number;
      }
    }
    return last;
  }

  [[nodiscard]] int fd() const { return fd_; }

 private:
  void burst(std::size_t count, std::uint64_t first, std::uint64_t probe_every) {
    for (std::size_t i = 0; i < count; ++i) {
      const bool probe = probe_every != 0 && (first + i) % probe_every == 0;
      out_.at(i) = {probe ? kind::probe : kind::load, trial_, first + i, probe ? nanoseconds() : 0};
    }
    send_all(fd_, out_.headers.data(), count);
  }

  int fd_;
  messages out_;
  std::uint32_t trial_ = static_cast<std::uint32_t>(nanoseconds());
};

// ---- the two measurements

constexpr double tolerated = 0.01;

// The rate was really offered and less than 1 % lost, at the third attempt at the latest: a hiccup of the machine is
// neither the tunnel's limit nor the sender's.
bool passes(sender& s, double rate) {
  for (int attempt = 0; attempt < 3; ++attempt) {
    const outcome result = s.offer(rate, duration<double>(0.4));
    if (result.loss() < tolerated && result.offered() > 0.9 * rate) return true;
  }
  return false;
}

void search_rate(sender& s) {
  const auto deadline = clock_type::now() + std::chrono::seconds(15);  // on a busy machine: as far as it came
  double good = 2'000, bad = 5e6;
  for (double rate = 10'000; rate < bad; rate *= 2) (passes(s, rate) ? good : bad) = rate;
  for (int step = 0; step < 5 && clock_type::now() < deadline; ++step) {
    const double middle = (good + bad) / 2;
    (passes(s, middle) ? good : bad) = middle;
  }
  // A longer trial has the last word: in a short one, what is too much may stand in a queue. The longer the tunnel's
  // queues are the further the search may have gone astray, so there is no other floor than a rate anything carries.
  outcome result;
  for (bool first = true; first || (result.loss() >= tolerated && good > 1'000); first = false, good *= 0.93) {
    result = s.offer(good, duration<double>(1.0));
  }
  if (result.loss() >= tolerated) result.arrived = 0;
  std::printf("{\"per_second\": %.0f, \"loss\": %.5f}\n", static_cast<double>(result.arrived) / result.seconds,
              result.loss());
}

void measure_rtt(sender& s, double megabits, double seconds) {
  const double rate = megabits * 1e6 / 8 / 1200;
  const auto probe_every = static_cast<std::uint64_t>(rate / 2000) + 1;
  std::vector<double> times;
  times.reserve(static_cast<std::size_t>(seconds * 4000));
  std::atomic<bool> over{false};
  const timeval patience{0, 50'000};  // after which the listener looks whether it is over
  if (::setsockopt(s.fd(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) != 0) throw_errno("SO_RCVTIMEO");
  std::thread listener([&] {
    header h{};
    while (!over) {
      const ssize_t got = ::recv(s.fd(), &h, sizeof h, 0);
      if (got == static_cast<ssize_t>(sizeof h) && h.what == kind::probe && times.size() < times.capacity()) {
        times.push_back(static_cast<double>(nanoseconds() - h.stamp) / 1e6);
      }
    }
  });
  outcome result = s.load(rate, duration<double>(seconds), probe_every);
  std::this_thread::sleep_for(milliseconds(200));  // the last echoes
  over = true;
  listener.join();
  result.arrived = s.ask();
  if (times.empty()) throw std::runtime_error("no probe came back");
  std::sort(times.begin(), times.end());
  const auto quantile = [&](double q) { return times[static_cast<std::size_t>(q * double(times.size() - 1))]; };
  std::printf("{\"p50_ms\": %.4f, \"p99_ms\": %.4f, \"loss\": %.5f}\n", quantile(0.5), quantile(0.99), result.loss());
}

// ---- flood

std::vector<std::vector<std::uint8_t>> read_datagrams(const std::string& file) {
  std::ifstream in(file, std::ios::binary);
  std::vector<std::vector<std::uint8_t>> all;
  for (std::array<char, 2> length{}; in.read(length.data(), length.size());) {
    const auto byte = [&](std::size_t i) { return static_cast<std::size_t>(static_cast<std::uint8_t>(length[i])); };
    all.emplace_back(byte(0) << 8 | byte(1));
    in.read(reinterpret_cast<char*>(all.back().data()), static_cast<std::streamsize>(all.back().size()));
  }
  if (all.empty() || !in.eof()) throw std::runtime_error(file + ": no datagrams");
  return all;
}

void flood(const sockaddr_in& to, double rate, double seconds, const std::string& file,
           const std::vector<std::string>& sources) {
  auto datagrams = read_datagrams(file);
  std::vector<int> sockets;
  for (const auto& source : sources) {
    sockets.push_back(open_socket());
    const auto own = address_of(source, 0);
    if (::bind(sockets.back(), reinterpret_cast<const sockaddr*>(&own), sizeof own) != 0) throw_errno("bind");
  }
  std::array<iovec, batch> parts{};
  std::array<mmsghdr, batch> headers{};
  auto name = to;
  std::size_t at = 0;
  std::size_t turn = 0;
  const auto burst = [&](std::size_t count, std::uint64_t) {
    for (std::size_t i = 0; i < count; ++i) {
      auto& one = datagrams[at++ % datagrams.size()];
      parts[i] = {one.data(), one.size()};
      headers[i].msg_hdr = {&name, sizeof name, &parts[i], 1, nullptr, 0, 0};
    }
    send_all(sockets[turn++ % sockets.size()], headers.data(), count);
  };
  const outcome result = paced(rate, duration<double>(seconds), burst);
  std::printf("{\"per_second\": %.0f}\n", result.offered());
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> words(argv + 1, argv + argc);
  // Ahead of the tunnel where processors are short: what is to be offered must be offered, what arrives be counted, and
  // a round trip not wait for us. Everybody is measured beside the same load.
  const sched_param first{10};
  if (::sched_setscheduler(0, SCHED_FIFO, &first) != 0) std::perror("udp_load: no real-time priority");
  const auto number = [&](std::size_t i) { return std::stod(words.at(i)); };
  try {
    if (words.size() == 2 && words[0] == "serve") {
      serve(static_cast<std::uint16_t>(number(1)));
    } else if (words.size() == 4 && words[0] == "rate") {
      sender s(words[1], static_cast<std::uint16_t>(number(2)), static_cast<std::size_t>(number(3)));
      search_rate(s);
    } else if (words.size() == 5 && words[0] == "rtt") {
      sender s(words[1], static_cast<std::uint16_t>(number(2)), 1200);
      measure_rtt(s, number(3), number(4));
    } else if (words.size() >= 7 && words[0] == "flood") {
      flood(address_of(words[1], static_cast<std::uint16_t>(number(2))), number(3), number(4), words[5],
            {words.begin() + 6, words.end()});
    } else {
      std::fputs(
          "usage: udp_load serve PORT | rate ADDRESS PORT SIZE | rtt ADDRESS PORT MBIT SECONDS |\n"
          "       udp_load flood ADDRESS PORT RATE SECONDS FILE SOURCE...\n",
          stderr);
      return 2;
    }
  } catch (const std::exception& e) {
    std::fprintf(stderr, "udp_load: %s\n", e.what());
    return 1;
  }
  return 0;
}
