// SPDX-License-Identifier: Apache-2.0
#include <lanloom/os/netlink.hpp>

#include "netlink_exchange.hpp"

#include <linux/rtnetlink.h>

namespace lanloom::os {

namespace {
void describe_default(netlink_message& asked, const default_route& r) {
  auto& header = asked.append<rtmsg>();
  header.rtm_family = family_of(r.gateway);
  header.rtm_table = RT_TABLE_MAIN;
  header.rtm_protocol = r.protocol;
  header.rtm_scope = RT_SCOPE_UNIVERSE;
  header.rtm_type = RTN_UNICAST;
  asked.put(RTA_GATEWAY, bytes_of(r.gateway));
  asked.put_integer<std::int32_t>(RTA_OIF, r.out_index);
}

void describe_route(netlink_message& asked, const route_entry& r) {
  auto& header = asked.append<rtmsg>();
  header.rtm_family = family_of(r.destination.address);
  header.rtm_dst_len = r.destination.length;
  header.rtm_table = RT_TABLE_UNSPEC;  // the attribute counts
  header.rtm_protocol = r.protocol;
  header.rtm_scope = r.scope;
  header.rtm_type = r.type;
  header.rtm_flags = r.onlink ? RTNH_F_ONLINK : 0;
  asked.put_integer<std::uint32_t>(RTA_TABLE, r.table);
  if (r.destination.length != 0) asked.put(RTA_DST, bytes_of(r.destination.address));
  if (r.gateway) asked.put(RTA_GATEWAY, bytes_of(*r.gateway));
  if (r.preferred_source) asked.put(RTA_PREFSRC, bytes_of(*r.preferred_source));
  if (r.metric != 0) asked.put_integer<std::uint32_t>(RTA_PRIORITY, r.metric);
  asked.put_integer<std::int32_t>(RTA_OIF, r.out_index);
}

std::string named(const route_entry& r) {
  auto text = "route to " + (r.destination.length == 0 ? std::string("default") : to_string(r.destination));
  if (r.gateway) text += " by " + to_string(*r.gateway);
  return text + " on";
}

// One of a route's several ways goes out there.
bool leaves_by(bytes_view ways, int index) {
  rtnexthop way{};
  while (ways.size() >= sizeof way) {
    std::memcpy(&way, ways.data(), sizeof way);
    if (way.rtnh_len < sizeof way || way.rtnh_len > ways.size()) return false;
    if (way.rtnh_ifindex == index) return true;
    ways = ways.subspan(std::min<std::size_t>(MNL_ALIGN(way.rtnh_len), ways.size()));
  }
  return false;
}

// Whether route_entry has a place for it.
bool can_express(int attribute, bytes_view value) {
  switch (attribute) {
    case RTA_DST:
    case RTA_OIF:
    case RTA_GATEWAY:
    case RTA_PRIORITY:
    case RTA_PREFSRC:
    case RTA_TABLE:
    case RTA_PAD:
      return true;
    case RTA_PREF:  // of two default routers; 0: neither better nor worse
      return integer_in<std::uint8_t>(value) == 0;
    case RTA_CACHEINFO:
      return integer_in<rta_cacheinfo>(value).rta_expires == 0;
    default:
      return false;
  }
}

std::optional<route_entry> parse_route(const nlmsghdr& message, int out_index) {
  const auto header = payload_header<rtmsg>(message);
  const auto attributes = attributes_after<rtmsg>(message);
  const auto own = integer_in<int>(find_attribute(attributes, RTA_OIF));
  if (own != out_index && !leaves_by(find_attribute(attributes, RTA_MULTIPATH), out_index)) return std::nullopt;
  const bool passes = header.rtm_protocol == RTPROT_KERNEL || header.rtm_protocol == RTPROT_RA ||
                      header.rtm_protocol == RTPROT_REDIRECT || (header.rtm_flags & RTM_F_CLONED) != 0;
  if (passes) return std::nullopt;
  const auto long_table = find_attribute(attributes, RTA_TABLE);
  route_entry r;
  r.table = long_table.empty() ? header.rtm_table : integer_in<std::uint32_t>(long_table);
  if (r.table == RT_TABLE_LOCAL) return std::nullopt;
  r.destination.address.v6 = header.rtm_family == AF_INET6;
  r.destination.length = header.rtm_dst_len;
  if (const auto a = address_in(find_attribute(attributes, RTA_DST), header.rtm_family)) r.destination.address = *a;
  r.gateway = address_in(find_attribute(attributes, RTA_GATEWAY), header.rtm_family);
  r.out_index = out_index;
  r.metric = integer_in<std::uint32_t>(find_attribute(attributes, RTA_PRIORITY));
  r.protocol = header.rtm_protocol;
  r.scope = header.rtm_scope;
  r.type = header.rtm_type;
  r.preferred_source = address_in(find_attribute(attributes, RTA_PREFSRC), header.rtm_family);
  r.onlink = (header.rtm_flags & RTNH_F_ONLINK) != 0;
  r.complete = header.rtm_tos == 0 && header.rtm_src_len == 0;
  each_attribute(attributes, [&](int type, bytes_view value) {
    if (!can_express(type, value)) r.complete = false;
  });
  return r;
}
}  // namespace

std::vector<route_entry> netlink::routes(int out_index) {
  netlink_message asked(RTM_GETROUTE, NLM_F_DUMP);
  asked.append<rtmsg>();
  return dump<route_entry>(asked, "list routes", [&](const nlmsghdr& m) { return parse_route(m, out_index); });
}

void netlink::add_route(const route_entry& wanted) {
  if (!wanted.complete) throw_errno("add " + named(wanted) + " link " + std::to_string(wanted.out_index), EINVAL);
  netlink_message asked(RTM_NEWROUTE, NLM_F_ACK | NLM_F_CREATE | NLM_F_APPEND);
  describe_route(asked, wanted);
  change(asked, "add " + named(wanted), wanted.out_index);
}

void netlink::delete_route(const route_entry& unwanted) {
  netlink_message asked(RTM_DELROUTE, NLM_F_ACK);
  describe_route(asked, unwanted);
  change(asked, "delete " + named(unwanted), unwanted.out_index, {ESRCH, ENODEV});
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
  describe_default(asked, wanted);
  change(asked, "add default route by " + to_string(wanted.gateway) + " on", wanted.out_index);
}

void netlink::delete_default_route(const default_route& unwanted) {
  netlink_message asked(RTM_DELROUTE, NLM_F_ACK);
  describe_default(asked, unwanted);
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
