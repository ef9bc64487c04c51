// SPDX-License-Identifier: Apache-2.0
#include <lanloom/os/listening.hpp>

#include "netlink_message.hpp"

#include <arpa/inet.h>
#include <linux/inet_diag.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include <array>
#include <memory>
#include <optional>

namespace lanloom::os {

namespace {
constexpr const char* context = "ask who listens";

bool is_loopback(const ip_address& a) noexcept {
  if (!a.v6) return a.bytes[0] == 127;
  ip_address loopback;
  loopback.v6 = true;
  loopback.bytes[15] = 1;
  return a == loopback;
}

bool is_any(const ip_address& a) noexcept {
  return std::all_of(a.bytes.begin(), a.bytes.end(), [](std::uint8_t byte) { return byte == 0; });
}

// One socket: where it is bound, and whether IPv4 reaches it.
struct listener {
  ip_address bound;
  bool also_v4 = false;
};

// Nothing when it is not for this port, or of no family of ours.
std::optional<listener> parse_listener(const nlmsghdr& message, std::uint16_t port) {
  const auto header = payload_header<inet_diag_msg>(message);
  if (message.nlmsg_type != SOCK_DIAG_BY_FAMILY || ntohs(header.id.idiag_sport) != port) return std::nullopt;
  std::array<std::uint8_t, 16> source;
  static_assert(sizeof header.id.idiag_src == sizeof source);
  std::memcpy(source.data(), header.id.idiag_src, sizeof source);
  const auto family = header.idiag_family;
  const auto bound = address_in(bytes_view(source).first(family == AF_INET ? 4 : 16), family);
  if (!bound) return std::nullopt;
  if (!bound->v6) return listener{*bound, true};
  constexpr std::array<std::uint8_t, 12> mapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  if (std::equal(mapped.begin(), mapped.end(), source.begin())) {
    return listener{*address_in(bytes_view(source).subspan(mapped.size()), AF_INET), true};
  }
  const auto only_v6 = find_attribute(attributes_after<inet_diag_msg>(message), INET_DIAG_SKV6ONLY);
  return listener{*bound, is_any(*bound) && integer_in<std::uint8_t>(only_v6) == 0};
}

bool reaches(const listener& l, const ip_address& wanted) noexcept {
  if (is_loopback(l.bound)) return false;
  if (is_any(l.bound)) return l.bound.v6 == wanted.v6 || (!wanted.v6 && l.also_v4);
  return l.bound.v6 == wanted.v6 && (is_any(wanted) || l.bound == wanted);
}

using diag_socket = std::unique_ptr<mnl_socket, int (*)(mnl_socket*)>;

// on_message(nlmsghdr) for each socket of a family; the kernel's error, 0 at the end.
template <class OnMessage>
int each_socket(const diag_socket& socket, std::uint8_t family, transport protocol, std::uint16_t port,
                OnMessage on_message) {
  netlink_message asked(SOCK_DIAG_BY_FAMILY, NLM_F_DUMP);
  auto& request = asked.append<inet_diag_req_v2>();
  request.sdiag_family = family;
  request.sdiag_protocol = protocol == transport::tcp ? IPPROTO_TCP : IPPROTO_UDP;
  request.idiag_states = 1U << (protocol == transport::tcp ? TCP_LISTEN : TCP_CLOSE);  // the latter: not connected
  request.id.idiag_sport = htons(port);
  if (mnl_socket_sendto(socket.get(), &asked.header(), asked.header().nlmsg_len) < 0) throw_errno(context);
  alignas(nlmsghdr) std::array<std::uint8_t, 32768> bytes;
  for (;;) {
    const auto size = mnl_socket_recvfrom(socket.get(), bytes.data(), bytes.size());
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) throw_errno(context);
    int left = static_cast<int>(size);
    for (auto* m = reinterpret_cast<nlmsghdr*>(bytes.data()); mnl_nlmsg_ok(m, left); m = mnl_nlmsg_next(m, &left)) {
      if (m->nlmsg_type == NLMSG_ERROR || m->nlmsg_type == NLMSG_DONE) return error_in(*m);
      on_message(*m);
    }
  }
}
}  // namespace

bool is_listening(transport protocol, std::uint16_t port, const ip_address& address) {
  if (port == 0) return false;  // to the kernel: all ports
  const diag_socket socket(mnl_socket_open2(NETLINK_SOCK_DIAG, SOCK_CLOEXEC), &mnl_socket_close);
  if (!socket || mnl_socket_bind(socket.get(), 0, MNL_SOCKET_AUTOPID) != 0) throw_errno(context);
  bool found = false;
  for (const auto family : std::array<std::uint8_t, 2>{AF_INET, AF_INET6}) {
    const int error = each_socket(socket, family, protocol, port, [&](const nlmsghdr& m) {
      const auto l = parse_listener(m, port);
      if (l && reaches(*l, address)) found = true;
    });
    if (error != 0 && error != ENOENT) throw_errno(context, error);
  }
  return found;
}

}  // namespace lanloom::os
