// SPDX-License-Identifier: Apache-2.0
#include <lanloom/os/netlink.hpp>

#include <libmnl/libmnl.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>

#include <cerrno>
#include <cstring>

namespace lanloom::os {

// The kernel takes these questions at any socket, and answers for the network namespace that the socket is of.
int netlink::ask_ethtool(std::string_view name, void* question) {
  if (name.empty() || name.size() >= IFNAMSIZ) return ENODEV;
  ifreq request{};
  std::memcpy(request.ifr_name, name.data(), name.size());
  request.ifr_data = static_cast<char*>(question);
  return ::ioctl(mnl_socket_get_fd(socket_.get()), SIOCETHTOOL, &request) == 0 ? 0 : errno;
}

// Checksums stand for the rest: nobody but who sums a packet can cut it.
bool netlink::uses_tx_offloads(std::string_view name) {
  ethtool_value asked{ETHTOOL_GTXCSUM, 0};
  const int error = ask_ethtool(name, &asked);
  if (error == ENODEV || error == EOPNOTSUPP) return false;
  if (error != 0) throw_errno("ask for the offloads of " + std::string(name), error);
  return asked.data != 0;
}

void netlink::switch_off_tx_offloads(std::string_view name) {
  ethtool_value asked{ETHTOOL_STXCSUM, 0};
  const int error = ask_ethtool(name, &asked);
  if (error != 0) throw_errno("switch off the offloads of " + std::string(name), error);
}

}  // namespace lanloom::os
