// SPDX-License-Identifier: Apache-2.0
#include <lanloom/os/address_probe.hpp>

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <set>

namespace lanloom::os {

namespace {
using clock = std::chrono::steady_clock;

constexpr std::size_t arp_size = 14 + 28;
constexpr std::size_t solicitation_size = 14 + 40 + 24;
constexpr std::size_t advertisement_size = solicitation_size;  // options behind it do not interest us
constexpr std::uint8_t icmp6 = 58;
constexpr std::uint8_t neighbour_solicitation = 135;
constexpr std::uint8_t neighbour_advertisement = 136;
constexpr mac_address everybody{0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

using frame = std::vector<std::uint8_t>;

void put(frame& f, std::initializer_list<std::uint8_t> bytes) { f.insert(f.end(), bytes); }
template <class Bytes>
void put_all(frame& f, const Bytes& bytes) {
  f.insert(f.end(), bytes.begin(), bytes.end());
}

frame arp_probe(const mac_address& own, const ip_address& wanted) {
  frame f;
  put_all(f, everybody);
  put_all(f, own);
  put(f, {0x08, 0x06, 0, 1, 0x08, 0x00, 6, 4, 0, 1});  // Ethernet, IPv4, request
  put_all(f, own);
  put(f, {0, 0, 0, 0, 0, 0, 0, 0, 0, 0});  // from nobody, to whom we do not know
  put_all(f, bytes_view(wanted.bytes).first(4));
  return f;
}

std::uint16_t checksum(bytes_view source_to_end, std::uint8_t protocol, std::size_t length) {
  std::uint32_t sum = protocol + static_cast<std::uint32_t>(length);
  for (std::size_t i = 0; i + 1 < source_to_end.size(); i += 2) {
    sum += static_cast<std::uint32_t>(source_to_end[i] << 8 | source_to_end[i + 1]);
  }
  while (sum >> 16 != 0) sum = (sum & 0xffffU) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum);
}

frame solicitation(const mac_address& own, const ip_address& wanted) {
  const auto& w = wanted.bytes;
  frame f;
  put(f, {0x33, 0x33, 0xff, w[13], w[14], w[15]});
  put_all(f, own);
  put(f, {0x86, 0xdd, 0x60, 0, 0, 0, 0, 24, icmp6, 255});
  f.resize(f.size() + 16);  // from ::
  put(f, {0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, w[13], w[14], w[15]});
  put(f, {neighbour_solicitation, 0, 0, 0, 0, 0, 0, 0});
  put_all(f, w);
  const auto sum = checksum(bytes_view(f).subspan(14 + 8), icmp6, 24);
  f[14 + 40 + 2] = static_cast<std::uint8_t>(sum >> 8);
  f[14 + 40 + 3] = static_cast<std::uint8_t>(sum & 0xff);
  return f;
}

unique_fd open_socket(int link_index, std::uint16_t protocol) {
  unique_fd fd(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) throw_errno("open a packet socket");
  sockaddr_ll at{};
  at.sll_family = AF_PACKET;
  at.sll_protocol = htons(protocol);
  at.sll_ifindex = link_index;
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&at), sizeof at) != 0) throw_errno("listen on a link");
  return fd;
}

class probing {
 public:
  probing(int link_index, const mac_address& own, std::span<const ip_address> addresses)
      : arp_(open_socket(link_index, ETH_P_ARP)),
        ip6_(open_socket(link_index, ETH_P_IPV6)),
        own_(own),
        wanted_(addresses.begin(),
                addresses.begin() + static_cast<std::ptrdiff_t>(std::min(addresses.size(), most_addresses))) {}

  void ask() {
    for (const auto& a : wanted_) {
      const auto f = a.v6 ? solicitation(own_, a) : arp_probe(own_, a);
      // A full queue loses what a wire may lose as well; we ask again.
      if (::send((a.v6 ? ip6_ : arp_).get(), f.data(), f.size(), 0) < 0 && errno != ENOBUFS && errno != EAGAIN) {
        throw_errno("ask who has " + to_string(a));
      }
    }
  }

  void listen_until(clock::time_point end) {
    std::array<pollfd, 2> waiting{pollfd{arp_.get(), POLLIN, 0}, pollfd{ip6_.get(), POLLIN, 0}};
    for (;;) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - clock::now()).count();
      if (left <= 0) return;
      if (::poll(waiting.data(), waiting.size(), static_cast<int>(left)) < 0 && errno != EINTR) throw_errno("poll");
      for (const auto& w : waiting) {
        if (w.revents != 0) take(w.fd);
      }
    }
  }

  [[nodiscard]] std::vector<address_claim> claims() const { return {claims_.begin(), claims_.end()}; }

 private:
  void take(int from) {
    std::array<std::uint8_t, 256> room;
    for (int turn = 0; turn < 64; ++turn) {
      sockaddr_ll source{};
      socklen_t source_size = sizeof source;
      const auto size =
          ::recvfrom(from, room.data(), room.size(), 0, reinterpret_cast<sockaddr*>(&source), &source_size);
      if (size < 0) return;
      if (source.sll_pkttype == PACKET_OUTGOING) continue;
      const auto claim = claim_in(bytes_view(room).first(static_cast<std::size_t>(size)));
      if (!claim || claim->mac == own_ || claims_.size() == most_answers) continue;
      if (std::find(wanted_.begin(), wanted_.end(), claim->address) != wanted_.end()) claims_.insert(*claim);
    }
  }

  unique_fd arp_;
  unique_fd ip6_;
  mac_address own_;
  std::vector<ip_address> wanted_;
  std::set<address_claim> claims_;
};
}  // namespace

std::optional<address_claim> claim_in(bytes_view f) {
  address_claim c;
  const auto copy = [&](std::size_t at, std::size_t size) {
    std::copy_n(f.begin() + static_cast<std::ptrdiff_t>(at), size, c.address.bytes.begin());
  };
  if (f.size() >= arp_size && f[12] == 0x08 && f[13] == 0x06) {
    const bool nobody = std::all_of(f.begin() + 28, f.begin() + 32, [](auto b) { return b == 0; });
    copy(nobody ? 38 : 28, 4);
    std::copy_n(f.begin() + 22, 6, c.mac.begin());
    return c;
  }
  const bool advertises = f.size() >= advertisement_size && f[12] == 0x86 && f[13] == 0xdd && f[20] == icmp6 &&
                          f[21] == 255 && f[54] == neighbour_advertisement;
  if (!advertises) return std::nullopt;
  c.address.v6 = true;
  copy(62, 16);
  std::copy_n(f.begin() + 6, 6, c.mac.begin());
  return c;
}

std::vector<address_claim> probe_addresses(int link_index, const mac_address& own,
                                           std::span<const ip_address> addresses, std::chrono::milliseconds patience) {
  if (addresses.empty()) return {};
  const auto began = clock::now();
  probing p(link_index, own, addresses);
  p.ask();
  p.listen_until(began + patience / 3);
  p.ask();
  p.listen_until(began + patience);
  return p.claims();
}

}  // namespace lanloom::os
