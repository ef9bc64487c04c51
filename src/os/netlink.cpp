// SPDX-License-Identifier: Apache-2.0
#include <lanloom/os/netlink.hpp>
#include <lanloom/os/netns.hpp>

#include "netlink_message.hpp"

#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>

#include <algorithm>
#include <initializer_list>

namespace lanloom::os {

namespace {
constexpr std::size_t receive_size = 65536;  // the kernel fills at most 32 KiB per part of a dump
constexpr int dump_attempts = 10;

bool one_of(int error, std::initializer_list<int> expected) noexcept {
  return std::find(expected.begin(), expected.end(), error) != expected.end();
}

link parse_link(const nlmsghdr& message) {
  const auto header = payload_header<ifinfomsg>(message);
  link l;
  l.index = header.ifi_index;
  l.up = (header.ifi_flags & IFF_UP) != 0;
  l.makes_addresses = false;  // the kernel says nothing where IPv6 is off
  each_attribute(attributes_after<ifinfomsg>(message), [&](int type, bytes_view value) {
    if (type == IFLA_IFNAME) l.name = text_in(value);
    if (type == IFLA_IFALIAS) l.alias = text_in(value);
    if (type == IFLA_MASTER) l.master = integer_in<int>(value);
    if (type == IFLA_LINK) l.peer = integer_in<int>(value);
    if (type == IFLA_MTU) l.mtu = integer_in<unsigned>(value);
    if (type == IFLA_ADDRESS && value.size() == l.mac.size()) std::copy(value.begin(), value.end(), l.mac.begin());
    if (type == IFLA_AF_SPEC) {
      if (const auto mode = find_attribute(find_attribute(value, AF_INET6), IFLA_INET6_ADDR_GEN_MODE); !mode.empty()) {
        l.makes_addresses = mode[0] != IN6_ADDR_GEN_MODE_NONE;
      }
    }
    if (type == IFLA_LINKINFO) {
      l.kind = text_in(find_attribute(value, IFLA_INFO_KIND));
      if (l.kind != "bridge") return;
      l.stp = integer_in<std::uint32_t>(find_attribute(find_attribute(value, IFLA_INFO_DATA), IFLA_BR_STP_STATE)) != 0;
    }
  });
  if (l.kind != "veth") l.peer = 0;
  return l;
}

std::uint8_t family_of(const ip_address& a) noexcept { return a.v6 ? AF_INET6 : AF_INET; }

bytes_view bytes_of(const ip_address& a) noexcept { return bytes_view(a.bytes).first(a.bits() / 8U); }

// Nothing when `value` is not an address of that family.
std::optional<ip_address> address_in(bytes_view value, std::uint8_t family) noexcept {
  ip_address a;
  a.v6 = family == AF_INET6;
  if ((family != AF_INET && family != AF_INET6) || value.size() != a.bits() / 8U) return std::nullopt;
  std::copy(value.begin(), value.end(), a.bytes.begin());
  return a;
}

void describe_address(netlink_message& asked, int index, const ip_prefix& address) {
  auto& header = asked.append<ifaddrmsg>();
  header.ifa_family = family_of(address.address);
  header.ifa_prefixlen = address.length;
  header.ifa_index = static_cast<unsigned>(index);
  header.ifa_flags = address.address.v6 ? IFA_F_NODAD : 0;
  asked.put(IFA_LOCAL, bytes_of(address.address));
  asked.put(IFA_ADDRESS, bytes_of(address.address));
}

void describe_route(netlink_message& asked, const default_route& r) {
  auto& header = asked.append<rtmsg>();
  header.rtm_family = family_of(r.gateway);
  header.rtm_table = RT_TABLE_MAIN;
  header.rtm_protocol = r.protocol;
  header.rtm_scope = RT_SCOPE_UNIVERSE;
  header.rtm_type = RTN_UNICAST;
  asked.put(RTA_GATEWAY, bytes_of(r.gateway));
  asked.put_integer<std::int32_t>(RTA_OIF, r.out_index);
}
}  // namespace

struct netlink::outcome {
  int error = 0;
  std::string explanation;
  bool interrupted = false;  // what was dumped changed meanwhile
};

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

template <class OnMessage>
netlink::outcome netlink::exchange(netlink_message& asked, OnMessage on_message) {
  auto& header = asked.header();
  header.nlmsg_seq = ++sequence_;
  outcome result;
  if (mnl_socket_sendto(socket_.get(), &header, header.nlmsg_len) < 0) return {errno, {}, false};
  for (;;) {
    const auto size = mnl_socket_recvfrom(socket_.get(), received_.data(), received_.size());
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return {errno, {}, false};
    int left = static_cast<int>(size);
    for (auto* m = reinterpret_cast<nlmsghdr*>(received_.data()); mnl_nlmsg_ok(m, left); m = mnl_nlmsg_next(m, &left)) {
      if (m->nlmsg_seq != sequence_) continue;  // the rest of an answer that was given up
      if ((m->nlmsg_flags & NLM_F_DUMP_INTR) != 0) result.interrupted = true;
      if (m->nlmsg_type == NLMSG_ERROR || m->nlmsg_type == NLMSG_DONE) {
        result.error = error_in(*m);
        result.explanation = explanation_in(*m);
        return result;
      }
      on_message(*m);
    }
  }
}

template <class Value, class Parse>
std::vector<Value> netlink::dump(netlink_message& asked, const char* context, Parse parse) {
  for (int attempt = 0; attempt < dump_attempts; ++attempt) {
    std::vector<Value> values;
    const auto result = exchange(asked, [&](const nlmsghdr& m) {
      if (auto value = parse(m)) values.push_back(std::move(*value));
    });
    if (result.error != 0) throw_refused(context, result.error, result.explanation);
    if (!result.interrupted) return values;
  }
  throw_errno(context, EAGAIN);
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
  asked.nest(IFLA_LINKINFO, [&] {
    asked.put_text(IFLA_INFO_KIND, "bridge");
    asked.nest(IFLA_INFO_DATA, [&] { asked.put_integer<std::uint32_t>(IFLA_BR_STP_STATE, stp ? 1 : 0); });
  });
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
  asked.nest(IFLA_LINKINFO, [&] {
    asked.put_text(IFLA_INFO_KIND, "bridge");
    asked.nest(IFLA_INFO_DATA, [&] { asked.put_integer<std::uint32_t>(IFLA_BR_STP_STATE, on ? 1 : 0); });
  });
  change(asked, on ? "switch on STP of" : "switch off STP of", bridge_index);
}

void netlink::set_addr_gen_none(int index) {
  netlink_message asked(RTM_SETLINK, NLM_F_ACK);
  asked.append<ifinfomsg>().ifi_index = index;
  asked.nest(IFLA_AF_SPEC, [&] {
    asked.nest(AF_INET6, [&] { asked.put_integer<std::uint8_t>(IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE); });
  });
  change(asked, "switch off IPv6 address generation of", index, {EAFNOSUPPORT});
}

std::vector<ip_prefix> netlink::addresses(int index) {
  netlink_message asked(RTM_GETADDR, NLM_F_DUMP);
  asked.append<ifaddrmsg>();
  return dump<ip_prefix>(asked, "list addresses", [&](const nlmsghdr& m) -> std::optional<ip_prefix> {
    const auto header = payload_header<ifaddrmsg>(m);
    if (static_cast<int>(header.ifa_index) != index) return std::nullopt;
    // With a partner at the other end of the line, IFA_ADDRESS is his; without IFA_LOCAL it is ours.
    const auto attributes = attributes_after<ifaddrmsg>(m);
    auto a = address_in(find_attribute(attributes, IFA_LOCAL), header.ifa_family);
    if (!a) a = address_in(find_attribute(attributes, IFA_ADDRESS), header.ifa_family);
    if (!a) return std::nullopt;
    return ip_prefix{*a, header.ifa_prefixlen};
  });
}

void netlink::add_address(int index, const ip_prefix& address) {
  netlink_message asked(RTM_NEWADDR, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL);
  describe_address(asked, index, address);
  change(asked, "add address " + to_string(address) + " to", index);
}

void netlink::delete_address(int index, const ip_prefix& address) {
  netlink_message asked(RTM_DELADDR, NLM_F_ACK);
  describe_address(asked, index, address);
  change(asked, "delete address " + to_string(address) + " from", index, {EADDRNOTAVAIL, ENODEV});
}

std::vector<default_route> netlink::default_routes() {
  netlink_message asked(RTM_GETROUTE, NLM_F_DUMP);
  asked.append<rtmsg>();
  return dump<default_route>(asked, "list routes", [&](const nlmsghdr& m) -> std::optional<default_route> {
    const auto header = payload_header<rtmsg>(m);
    if (header.rtm_dst_len != 0 || header.rtm_table != RT_TABLE_MAIN || header.rtm_type != RTN_UNICAST) {
      return std::nullopt;
    }
    const auto attributes = attributes_after<rtmsg>(m);
    const auto gateway = address_in(find_attribute(attributes, RTA_GATEWAY), header.rtm_family);
    if (!gateway) return std::nullopt;
    return default_route{*gateway, integer_in<int>(find_attribute(attributes, RTA_OIF)), header.rtm_protocol};
  });
}

void netlink::add_default_route(const default_route& wanted) {
  netlink_message asked(RTM_NEWROUTE, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL);
  describe_route(asked, wanted);
  change(asked, "add default route by " + to_string(wanted.gateway) + " on", wanted.out_index);
}

void netlink::delete_default_route(const default_route& unwanted) {
  netlink_message asked(RTM_DELROUTE, NLM_F_ACK);
  describe_route(asked, unwanted);
  change(asked, "delete default route by " + to_string(unwanted.gateway) + " on", unwanted.out_index, {ESRCH, ENODEV});
}

std::optional<route> netlink::route_to(const ip_address& destination) {
  netlink_message asked(RTM_GETROUTE, NLM_F_ACK);
  auto& header = asked.append<rtmsg>();
  header.rtm_family = family_of(destination);
  header.rtm_dst_len = destination.bits();
  asked.put(RTA_DST, bytes_of(destination));
  std::optional<route> found;
  const auto result = exchange(asked, [&](const nlmsghdr& m) {
    const auto answer = payload_header<rtmsg>(m);
    if (answer.rtm_type != RTN_UNICAST && answer.rtm_type != RTN_LOCAL) return;
    const auto attributes = attributes_after<rtmsg>(m);
    found = route{integer_in<int>(find_attribute(attributes, RTA_OIF)),
                  address_in(find_attribute(attributes, RTA_PREFSRC), answer.rtm_family)};
  });
  if (result.error == 0) return found;
  // No route, or one that says no; or a kernel without that family.
  if (one_of(result.error,
             {ENETUNREACH, EHOSTUNREACH, EACCES, EINVAL, ENETDOWN, EAFNOSUPPORT, EOPNOTSUPP, EPFNOSUPPORT})) {
    return std::nullopt;
  }
  throw_refused("look up the route to " + to_string(destination), result.error, result.explanation);
}

}  // namespace lanloom::os
