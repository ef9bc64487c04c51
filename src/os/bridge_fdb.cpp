// SPDX-License-Identifier: Apache-2.0
#include <lanloom/os/bridge_fdb.hpp>

#include "netlink_message.hpp"

#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <memory>

namespace lanloom::os {

namespace {
void take(const nlmsghdr& m, int bridge_index, std::vector<learned_mac>& found) {
  const auto entry = payload_header<ndmsg>(m);
  const auto attributes = attributes_after<ndmsg>(m);
  const auto mac = find_attribute(attributes, NDA_LLADDR);
  const bool learned = (entry.ndm_state & (NUD_PERMANENT | NUD_NOARP)) == 0;
  const bool here = integer_in<int>(find_attribute(attributes, NDA_MASTER)) == bridge_index;
  learned_mac l;
  if (!learned || !here || mac.size() != l.mac.size() || found.size() == most_fdb_entries) return;
  std::copy(mac.begin(), mac.end(), l.mac.begin());
  l.port = entry.ndm_ifindex;
  found.push_back(l);
}
}  // namespace

std::vector<learned_mac> learned_by_bridge(int bridge_index) {
  const std::string context = "list what a bridge has learned";
  const std::unique_ptr<mnl_socket, int (*)(mnl_socket*)> socket(mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC),
                                                                 &mnl_socket_close);
  if (!socket || mnl_socket_bind(socket.get(), 0, MNL_SOCKET_AUTOPID) != 0) throw_errno(context);
  netlink_message asked(RTM_GETNEIGH, NLM_F_DUMP);
  asked.append<ndmsg>().ndm_family = AF_BRIDGE;
  asked.put_integer<std::int32_t>(NDA_MASTER, bridge_index);
  if (mnl_socket_sendto(socket.get(), &asked.header(), asked.header().nlmsg_len) < 0) throw_errno(context);
  std::vector<learned_mac> found;
  std::vector<std::uint8_t> room(65536);
  for (;;) {
    const auto size = mnl_socket_recvfrom(socket.get(), room.data(), room.size());
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) throw_errno(context);
    int left = static_cast<int>(size);
    for (auto* m = reinterpret_cast<nlmsghdr*>(room.data()); mnl_nlmsg_ok(m, left); m = mnl_nlmsg_next(m, &left)) {
      if (m->nlmsg_type == NLMSG_ERROR || m->nlmsg_type == NLMSG_DONE) {
        if (error_in(*m) != 0) throw_errno(context, error_in(*m));
        return found;
      }
      take(*m, bridge_index, found);
    }
  }
}

}  // namespace lanloom::os
