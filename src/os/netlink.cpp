// SPDX-License-Identifier: Apache-2.0
#include <lanloom/os/netlink.hpp>
#include <lanloom/os/netns.hpp>

#include "netlink_exchange.hpp"

#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <net/if_arp.h>

#include <algorithm>
#include <initializer_list>

namespace lanloom::os {

namespace {
constexpr std::size_t receive_size = 65536;  // the kernel fills at most 32 KiB per part of a dump

// The kernel's unit for a bridge's timers.
using ticks = std::chrono::duration<std::uint32_t, std::centi>;

void parse_kind(bytes_view info, link& l) {
  l.kind = text_in(find_attribute(info, IFLA_INFO_KIND));
  if (text_in(find_attribute(info, IFLA_INFO_SLAVE_KIND)) == "bridge") {
    const auto port = find_attribute(info, IFLA_INFO_SLAVE_DATA);
    l.port_cost = integer_in<std::uint32_t>(find_attribute(port, IFLA_BRPORT_COST));
  }
  if (l.kind != "bridge") return;
  const auto bridge = find_attribute(info, IFLA_INFO_DATA);
  const auto timer = [&](int type) { return ticks(integer_in<std::uint32_t>(find_attribute(bridge, type))); };
  l.stp = integer_in<std::uint32_t>(find_attribute(bridge, IFLA_BR_STP_STATE)) != 0;
  l.timers = {timer(IFLA_BR_FORWARD_DELAY), timer(IFLA_BR_MAX_AGE), timer(IFLA_BR_HELLO_TIME)};
}

// The kernel takes them in the order of their numbers, whatever ours is: timers first, which without STP may be
// anything.
void describe_stp(netlink_message& asked, bool on) {
  asked.nest(IFLA_LINKINFO, [&] {
    asked.put_text(IFLA_INFO_KIND, "bridge");
    asked.nest(IFLA_INFO_DATA, [&] {
      const auto timer = [&](std::uint16_t type, std::chrono::milliseconds time) {
        asked.put_integer<std::uint32_t>(type, std::chrono::duration_cast<ticks>(time).count());
      };
      if (on) {
        timer(IFLA_BR_FORWARD_DELAY, quick_stp.forward_delay);
        timer(IFLA_BR_HELLO_TIME, quick_stp.hello);
        timer(IFLA_BR_MAX_AGE, quick_stp.max_age);
      }
      asked.put_integer<std::uint32_t>(IFLA_BR_STP_STATE, on ? 1 : 0);
    });
  });
}

link parse_link(const nlmsghdr& message) {
  const auto header = payload_header<ifinfomsg>(message);
  link l;
  l.index = header.ifi_index;
  l.up = (header.ifi_flags & IFF_UP) != 0;
  l.ethernet = header.ifi_type == ARPHRD_ETHER;
  l.makes_addresses = false;  // the kernel says nothing where IPv6 is off
  bool elsewhere = false;
  each_attribute(attributes_after<ifinfomsg>(message), [&](int type, bytes_view value) {
    if (type == IFLA_IFNAME) l.name = text_in(value);
    if (type == IFLA_IFALIAS) l.alias = text_in(value);
    if (type == IFLA_MASTER) l.master = integer_in<int>(value);
    if (type == IFLA_LINK) l.peer = integer_in<int>(value);
    if (type == IFLA_LINK_NETNSID) elsewhere = true;
    if (type == IFLA_MTU) l.mtu = integer_in<unsigned>(value);
    if (type == IFLA_ADDRESS && value.size() == l.mac.size()) std::copy(value.begin(), value.end(), l.mac.begin());
    if (type == IFLA_AF_SPEC) {
      if (const auto mode = find_attribute(find_attribute(value, AF_INET6), IFLA_INET6_ADDR_GEN_MODE); !mode.empty()) {
        l.makes_addresses = mode[0] != IN6_ADDR_GEN_MODE_NONE;
      }
    }
    if (type == IFLA_LINKINFO) parse_kind(value, l);
  });
  if (!elsewhere && (l.kind == "macvlan" || l.kind == "macvtap" || l.kind == "ipvlan")) l.lower = l.peer;
  if (l.kind != "veth") l.peer = 0;
  return l;
}
}  // namespace

void netlink::socket_closer::operator()(mnl_socket* s) const noexcept { mnl_socket_close(s); }

netlink::netlink() : socket_(mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC)), received_(receive_size) {
  if (!socket_ || mnl_socket_bind(socket_.get(), 0, MNL_SOCKET_AUTOPID) != 0) throw_errno("open netlink socket");
  // With a kernel that knows neither, errors come without explanation.
  int on = 1;
  mnl_socket_setsockopt(socket_.get(), NETLINK_EXT_ACK, &on, sizeof on);
  mnl_socket_setsockopt(socket_.get(), NETLINK_CAP_ACK, &on, sizeof on);
}

netlink netlink::in(const unique_fd& netns) {
  const in_netns there(netns);
  return netlink();
}

void netlink::command(netlink_message& asked, const std::string& context) {
  const auto result = exchange(asked, [](const nlmsghdr&) {});
  if (result.error != 0) throw_refused(context, result.error, result.explanation);
}

// As command, with the name of the link behind `what`; the errors in `fine` mean that there is nothing to do.
void netlink::change(netlink_message& asked, const std::string& what, int index, std::initializer_list<int> fine) {
  const auto result = exchange(asked, [](const nlmsghdr&) {});
  if (result.error == 0 || one_of(result.error, fine)) return;
  const auto named = link_by_index(index);
  throw_refused(what + " " + (named ? named->name : "link " + std::to_string(index)), result.error, result.explanation);
}

std::vector<link> netlink::links() {
  netlink_message asked(RTM_GETLINK, NLM_F_DUMP);
  asked.append<ifinfomsg>();
  return dump<link>(asked, "list links", [](const nlmsghdr& m) { return std::optional(parse_link(m)); });
}

std::optional<link> netlink::ask_link(netlink_message& asked, const std::string& context) {
  std::optional<link> found;
  const auto result = exchange(asked, [&](const nlmsghdr& m) { found = parse_link(m); });
  if (result.error == ENODEV) return std::nullopt;
  if (result.error != 0) throw_refused(context, result.error, result.explanation);
  return found;
}

std::optional<link> netlink::link_by_name(std::string_view name) {
  if (name.empty() || name.size() >= IFNAMSIZ) return std::nullopt;
  netlink_message asked(RTM_GETLINK, NLM_F_ACK);
  asked.append<ifinfomsg>();
  asked.put_text(IFLA_IFNAME, name);
  return ask_link(asked, "look up link " + std::string(name));
}

std::optional<link> netlink::link_by_index(int index) {
  if (index <= 0) return std::nullopt;
  netlink_message asked(RTM_GETLINK, NLM_F_ACK);
  asked.append<ifinfomsg>().ifi_index = index;
  return ask_link(asked, "look up link " + std::to_string(index));
}

void netlink::create_bridge(const std::string& name, const mac_address& mac, unsigned mtu, bool stp,
                            std::string_view alias) {
  const auto context = "create bridge " + name;
  netlink_message asked(RTM_NEWLINK, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL);
  asked.append<ifinfomsg>();
  asked.put_text(IFLA_IFNAME, name);
  asked.put(IFLA_ADDRESS, mac);
  describe_stp(asked, stp);
  command(asked, context);
  const auto born = link_by_name(name);
  if (!born) throw_errno(context, ENODEV);
  try {
    // Only a *change* of its MTU stops a bridge from following the smallest of its ports.
    if (mtu == born->mtu) set_mtu(born->index, mtu - 1);
    set_mtu(born->index, mtu);
    set_alias(born->index, alias);
  } catch (...) {
    delete_link(born->index);
    throw;
  }
}

void netlink::create_veth(const veth_end& host, const veth_end& inside, unsigned mtu, const unique_fd& inside_netns) {
  const auto context = "create veth " + host.name + " with " + inside.name + " inside";
  auto there = netlink::in(inside_netns);
  netlink_message asked(RTM_NEWLINK, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL);
  const auto describe = [&](const veth_end& end) {
    asked.append<ifinfomsg>();
    asked.put_text(IFLA_IFNAME, end.name);
    asked.put(IFLA_ADDRESS, end.mac);
    asked.put_integer<std::uint32_t>(IFLA_MTU, mtu);
  };
  describe(host);
  asked.nest(IFLA_LINKINFO, [&] {
    asked.put_text(IFLA_INFO_KIND, "veth");
    asked.nest(IFLA_INFO_DATA, [&] {
      asked.nest(VETH_INFO_PEER, [&] {
        describe(inside);
        asked.put_integer<std::int32_t>(IFLA_NET_NS_FD, inside_netns.get());
      });
    });
  });
  command(asked, context);
  // The kernel takes neither alias nor address generation with the birth; nothing is up yet, so it comes in time.
  const auto born = link_by_name(host.name);
  if (!born) throw_errno(context, ENODEV);
  try {
    set_alias(born->index, host.alias);
    set_addr_gen_none(born->index);
    const auto born_there = there.link_by_name(inside.name);
    if (!born_there) throw_errno(context, ENODEV);
    there.set_alias(born_there->index, inside.alias);
  } catch (...) {
    delete_link(born->index);
    throw;
  }
}

void netlink::delete_link(int index) {
  const auto found = link_by_index(index);
  if (!found) return;
  netlink_message asked(RTM_DELLINK, NLM_F_ACK);
  asked.append<ifinfomsg>().ifi_index = index;
  const auto result = exchange(asked, [](const nlmsghdr&) {});
  if (one_of(result.error, {0, ENODEV})) return;
  throw_refused("delete link " + found->name, result.error, result.explanation);
}

void netlink::delete_link(std::string_view name) {
  if (const auto found = link_by_name(name)) delete_link(found->index);
}

void netlink::set_flag(int index, unsigned flag, bool on) {
  netlink_message asked(RTM_SETLINK, NLM_F_ACK);
  auto& header = asked.append<ifinfomsg>();
  header.ifi_index = index;
  header.ifi_change = flag;
  header.ifi_flags = on ? flag : 0;
  change(asked, on ? "set up" : "set down", index);
}

void netlink::set_up(int index) { set_flag(index, IFF_UP, true); }
void netlink::set_down(int index) { set_flag(index, IFF_UP, false); }

void netlink::set_master(int index, int bridge_index) {
  netlink_message asked(RTM_SETLINK, NLM_F_ACK);
  asked.append<ifinfomsg>().ifi_index = index;
  asked.put_integer<std::int32_t>(IFLA_MASTER, bridge_index);
  change(asked, bridge_index == 0 ? "take from its bridge" : "put on a bridge", index);
}

void netlink::set_mtu(int index, unsigned mtu) {
  netlink_message asked(RTM_SETLINK, NLM_F_ACK);
  asked.append<ifinfomsg>().ifi_index = index;
  asked.put_integer<std::uint32_t>(IFLA_MTU, mtu);
  change(asked, "set MTU " + std::to_string(mtu) + " of", index);
}

void netlink::set_mac(int index, const mac_address& mac) {
  netlink_message asked(RTM_SETLINK, NLM_F_ACK);
  asked.append<ifinfomsg>().ifi_index = index;
  asked.put(IFLA_ADDRESS, mac);
  change(asked, "set MAC address of", index);
}

void netlink::set_alias(int index, std::string_view alias) {
  netlink_message asked(RTM_SETLINK, NLM_F_ACK);
  asked.append<ifinfomsg>().ifi_index = index;
  asked.put_text(IFLA_IFALIAS, alias);
  change(asked, "set alias of", index);
}

void netlink::set_stp(int bridge_index, bool on) {
  netlink_message asked(RTM_NEWLINK, NLM_F_ACK);
  asked.append<ifinfomsg>().ifi_index = bridge_index;
  describe_stp(asked, on);
  change(asked, on ? "switch on STP of" : "switch off STP of", bridge_index);
}

void netlink::set_port_cost(int port_index, std::uint16_t cost) {
  netlink_message asked(RTM_NEWLINK, NLM_F_ACK);
  asked.append<ifinfomsg>().ifi_index = port_index;
  asked.nest(IFLA_LINKINFO, [&] {
    asked.put_text(IFLA_INFO_SLAVE_KIND, "bridge");
    asked.nest(IFLA_INFO_SLAVE_DATA, [&] { asked.put_integer<std::uint32_t>(IFLA_BRPORT_COST, cost); });
  });
  change(asked, "set the path cost of", port_index);
}

void netlink::set_addr_gen_none(int index) {
  netlink_message asked(RTM_SETLINK, NLM_F_ACK);
  asked.append<ifinfomsg>().ifi_index = index;
  asked.nest(IFLA_AF_SPEC, [&] {
    asked.nest(AF_INET6, [&] { asked.put_integer<std::uint8_t>(IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE); });
  });
  change(asked, "switch off IPv6 address generation of", index, {EAFNOSUPPORT});
}

}  // namespace lanloom::os
