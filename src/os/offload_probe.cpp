// SPDX-License-Identifier: Apache-2.0
#include <lanloom/os/offload_probe.hpp>

#include <lanloom/os/tap.hpp>
#include <lanloom/os/udp.hpp>

#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <csignal>
#include <cstring>
#include <vector>

namespace lanloom::os {

namespace {

constexpr int answer_within = 1000;  // milliseconds
constexpr std::size_t segment = 1000;

enum bits : std::uint8_t {
  bit_checksum = 1,
  bit_tcp4 = 2,
  bit_tcp6 = 4,
  bit_udp = 8,
  bit_udp_gso = 16,
  bit_udp_gro = 32,
  bit_answered = 128
};

void bring_up(const char* name) {
  const unique_fd any(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request{};
  std::strncpy(request.ifr_name, name, IFNAMSIZ - 1);
  request.ifr_flags = IFF_UP;
  if (::ioctl(any.get(), SIOCSIFFLAGS, &request) != 0) throw_errno("bring up");
}

// A packet of three and a half segments to an address nobody has; its checksums are the TAP's other side's business.
std::vector<std::uint8_t> packet_of(gso_kind kind, offload& meta) {
  const bool v4 = kind != gso_kind::tcp6;
  const bool tcp = kind != gso_kind::udp;
  const std::size_t ip = 14;
  const std::size_t transport = ip + (v4 ? 20 : 40);
  const std::size_t headers = transport + (tcp ? 20 : 8);
  std::vector<std::uint8_t> f(headers + 3 * segment + segment / 2);
  const std::size_t length = f.size() - transport;
  f[0] = f[6] = 0x02;
  f[5] = 1;
  f[11] = 2;
  store_be16(&f[12], v4 ? 0x0800 : 0x86dd);
  const std::uint8_t protocol = tcp ? 6 : 17;
  std::uint32_t sum = protocol + static_cast<std::uint32_t>(length);  // of the pseudo-header
  if (v4) {
    f[ip] = 0x45;
    store_be16(&f[ip + 2], static_cast<std::uint16_t>(f.size() - ip));
    store_be16(&f[ip + 6], 0x4000);
    f[ip + 8] = 1;
    f[ip + 9] = protocol;
    store_be32(&f[ip + 12], 0xc0000201);
    store_be32(&f[ip + 16], 0xc0000202);
    std::uint32_t header = 0;
    for (std::size_t k = 0; k < 20; k += 2) header += load_be16(&f[ip + k]);
    while (header > 0xffff) header = (header & 0xffff) + (header >> 16U);
    store_be16(&f[ip + 10], static_cast<std::uint16_t>(~header));
    for (std::size_t k = 12; k < 20; k += 2) sum += load_be16(&f[ip + k]);
  } else {
    f[ip] = 0x60;
    store_be16(&f[ip + 4], static_cast<std::uint16_t>(length));
    f[ip + 6] = protocol;
    f[ip + 7] = 1;
    f[ip + 8] = f[ip + 24] = 0xfd;
    f[ip + 23] = 1;
    f[ip + 39] = 2;
    for (std::size_t k = 8; k < 40; k += 2) sum += load_be16(&f[ip + k]);
  }
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16U);
  store_be16(&f[transport], 9);
  store_be16(&f[transport + 2], 9);
  if (tcp) {
    f[transport + 12] = 0x50;
    f[transport + 13] = 0x10;
  } else {
    store_be16(&f[transport + 4], static_cast<std::uint16_t>(length));
  }
  meta.partial_checksum = true;
  meta.gso = kind;
  meta.header_length = static_cast<std::uint16_t>(headers);
  meta.segment_size = segment;
  meta.checksum_start = static_cast<std::uint16_t>(transport);
  meta.checksum_offset = tcp ? 16 : 6;
  store_be16(&f[transport + meta.checksum_offset], static_cast<std::uint16_t>(sum));
  return f;
}

std::uint8_t try_tap() {
  tap device = tap::open("probe");
  const tap_offloads granted = device.set_offloads(all_tap_offloads);
  bring_up("probe");
  const auto takes = [&](gso_kind kind, bool whole) {
    offload meta;
    const auto packet = packet_of(kind, meta);
    const std::array<bytes_view, 1> slices{bytes_view(packet).first(whole ? packet.size() : 14 + 40 + segment)};
    if (!whole) meta.gso = gso_kind::none, meta.segment_size = 0;
    return device.write(meta, slices) == std::errc{};
  };
  std::uint8_t found = 0;
  if (granted.checksum && takes(gso_kind::tcp4, false)) found |= bit_checksum;
  if (granted.tcp4 && takes(gso_kind::tcp4, true)) found |= bit_tcp4;
  if (granted.tcp6 && takes(gso_kind::tcp6, true)) found |= bit_tcp6;
  if (granted.udp && takes(gso_kind::udp, true)) found |= bit_udp;
  return found;
}

// Whether a train of equal datagrams, and one with a shorter end, arrive as they were; coalesced or not.
bool trains_pass(udp_socket& from, udp_socket& to, bool coalesced) {
  for (const std::size_t size : {3 * segment, 3 * segment + segment / 2}) {
    std::vector<std::uint8_t> bytes(size);
    for (std::size_t k = 0; k < size; ++k) bytes[k] = static_cast<std::uint8_t>(k * 7 + k / segment);
    if (from.send(to.local(), bytes, segment, true).error != std::errc{}) return false;
    std::vector<std::uint8_t> got;
    std::vector<std::uint8_t> slot(udp_socket::slot_size);
    bool several = false;
    while (got.size() < size) {
      pollfd ready{to.fd(), POLLIN, 0};
      received one;
      if (::poll(&ready, 1, answer_within / 4) != 1) return false;
      if (to.receive(slot, one.from, one.train) != std::errc{}) return false;
      if (!coalesced && one.train.bytes.size() > segment) return false;
      several = several || (one.train.stride == segment && one.train.bytes.size() > segment);
      got.insert(got.end(), one.train.bytes.begin(), one.train.bytes.end());
    }
    if (got != bytes || several != coalesced) return false;
  }
  return true;
}

std::uint8_t try_udp() {
  bring_up("lo");
  udp_socket to = udp_socket::open(endpoint::v4({127, 0, 0, 1}, 0));
  udp_socket from = udp_socket::open(endpoint::v4({127, 0, 0, 1}, 0));
  if (!trains_pass(from, to, false)) return 0;
  const bool coalesces = to.set_coalescing(true) && trains_pass(from, to, true);
  return static_cast<std::uint8_t>(bit_udp_gso | (coalesces ? bit_udp_gro : 0));
}

[[noreturn]] void try_all(int answer, pid_t parent) noexcept {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(1);
  if (::unshare(CLONE_NEWNET) != 0 && ::unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0) ::_exit(1);
  std::uint8_t found = bit_answered;
  for (auto* one : {try_tap, try_udp}) {
    try {
      found = static_cast<std::uint8_t>(found | one());
    } catch (const std::exception&) {
      // What could not be tried does not count as there.
    }
  }
  ::_exit(::write(answer, &found, 1) == 1 ? 0 : 1);
}

kernel_offloads offloads_in(std::uint8_t found) noexcept {
  utsname system{};
  const bool corrupt = ::uname(&system) == 0 && corrupts_trains(system.release);
  const auto has = [found](std::uint8_t bit) { return (found & bit) != 0; };
  return {
      {has(bit_checksum), has(bit_tcp4), has(bit_tcp6), has(bit_udp)}, has(bit_udp_gso) && !corrupt, has(bit_udp_gro)};
}

}  // namespace

offload_probe::offload_probe() noexcept {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return;
  from_child_.reset(ends[0]);
  const unique_fd answer(ends[1]);
  const pid_t self = ::getpid();
  child_ = ::fork();
  if (child_ == 0) try_all(answer.get(), self);
}

std::optional<kernel_offloads> offload_probe::answer() noexcept {
  if (child_ <= 0) return found_;
  std::uint8_t found = 0;
  pollfd ready{from_child_.get(), POLLIN, 0};
  int seen = 0;
  do seen = ::poll(&ready, 1, answer_within);
  while (seen < 0 && errno == EINTR);
  if (seen == 1 && ::read(from_child_.get(), &found, 1) == 1 && (found & bit_answered) != 0)
    found_ = offloads_in(found);
  end();
  return found_;
}

void offload_probe::end() noexcept {
  if (child_ <= 0) return;
  ::kill(child_, SIGKILL);
  while (::waitpid(child_, nullptr, 0) < 0 && errno == EINTR) continue;
  child_ = -1;
}

bool corrupts_trains(std::string_view release) noexcept {
  std::array<unsigned, 3> version{};
  const char* at = release.data();
  const char* const end = at + release.size();
  for (unsigned& part : version) {
    const auto [next, error] = std::from_chars(at, end, part);
    if (error != std::errc{}) break;
    at = next != end && *next == '.' ? next + 1 : end;
  }
  return version >= std::array{7U, 0U, 0U} && version <= std::array{7U, 1U, 4U};
}

}  // namespace lanloom::os
