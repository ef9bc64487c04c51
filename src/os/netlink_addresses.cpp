// SPDX-License-Identifier: Apache-2.0
#include <lanloom/os/netlink.hpp>

#include "netlink_exchange.hpp"

#include <linux/if_addr.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>

#include <algorithm>

namespace lanloom::os {

namespace {
std::optional<address_info> parse_address(const nlmsghdr& message, int index) {
  const auto header = payload_header<ifaddrmsg>(message);
  if (static_cast<int>(header.ifa_index) != index) return std::nullopt;
  const auto attributes = attributes_after<ifaddrmsg>(message);
  // With a partner at the other end of the line, IFA_ADDRESS is his; without IFA_LOCAL it is ours.
  const auto local = address_in(find_attribute(attributes, IFA_LOCAL), header.ifa_family);
  const auto peer = address_in(find_attribute(attributes, IFA_ADDRESS), header.ifa_family);
  if (!local && !peer) return std::nullopt;
  const auto long_flags = find_attribute(attributes, IFA_FLAGS);
  const auto flags = long_flags.empty() ? header.ifa_flags : integer_in<std::uint32_t>(long_flags);
  address_info a;
  a.address = {local ? *local : *peer, header.ifa_prefixlen};
  a.permanent = (flags & IFA_F_PERMANENT) != 0;
  a.scope = header.ifa_scope;
  a.label = text_in(find_attribute(attributes, IFA_LABEL));
  a.dad_or_tentative = (flags & (IFA_F_TENTATIVE | IFA_F_DADFAILED | IFA_F_OPTIMISTIC)) != 0;
  a.broadcast = address_in(find_attribute(attributes, IFA_BROADCAST), header.ifa_family);
  if (local && peer && *local != *peer) a.peer = peer;
  a.metric = integer_in<std::uint32_t>(find_attribute(attributes, IFA_RT_PRIORITY));
  a.no_prefix_route = (flags & IFA_F_NOPREFIXROUTE) != 0;
  a.no_dad = (flags & IFA_F_NODAD) != 0;
  return a;
}

void describe_address(netlink_message& asked, int index, const address_info& a, bool no_dad) {
  auto& header = asked.append<ifaddrmsg>();
  header.ifa_family = family_of(a.address.address);
  header.ifa_prefixlen = a.address.length;
  header.ifa_index = static_cast<unsigned>(index);
  header.ifa_scope = a.scope;
  asked.put(IFA_LOCAL, bytes_of(a.address.address));
  asked.put(IFA_ADDRESS, bytes_of(a.peer.value_or(a.address.address)));
  if (a.broadcast) asked.put(IFA_BROADCAST, bytes_of(*a.broadcast));
  if (!a.label.empty()) asked.put_text(IFA_LABEL, a.label);
  if (a.metric != 0) asked.put_integer<std::uint32_t>(IFA_RT_PRIORITY, a.metric);
  const std::uint32_t at_once = no_dad ? IFA_F_NODAD : 0;
  asked.put_integer<std::uint32_t>(IFA_FLAGS, at_once | (a.no_prefix_route ? IFA_F_NOPREFIXROUTE : 0));
}

void describe_neighbour(netlink_message& asked, int index, const ip_address& a, std::uint16_t state,
                        std::uint8_t flags) {
  auto& header = asked.append<ndmsg>();
  header.ndm_family = family_of(a);
  header.ndm_ifindex = index;
  header.ndm_state = state;
  header.ndm_flags = flags;
  asked.put(NDA_DST, bytes_of(a));
}
}  // namespace

std::vector<address_info> netlink::address_details(int index) {
  netlink_message asked(RTM_GETADDR, NLM_F_DUMP);
  asked.append<ifaddrmsg>();
  return dump<address_info>(asked, "list addresses", [&](const nlmsghdr& m) { return parse_address(m, index); });
}

std::vector<ip_prefix> netlink::addresses(int index) {
  std::vector<ip_prefix> all;
  for (const auto& a : address_details(index)) all.push_back(a.address);
  return all;
}

void netlink::add_address(int index, const ip_prefix& address) {
  address_info wanted;
  wanted.address = address;
  wanted.no_dad = true;
  add_address(index, wanted);
}

void netlink::add_address(int index, const address_info& address) {
  netlink_message asked(RTM_NEWADDR, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL);
  const bool v6 = address.address.address.v6;
  const auto context = "add address " + to_string(address.address) + " to";
  describe_address(asked, index, address, v6);
  change(asked, context, index);
  if (!v6 || address.no_dad) return;
  netlink_message as_it_was(RTM_NEWADDR, NLM_F_ACK | NLM_F_REPLACE);
  describe_address(as_it_was, index, address, false);
  change(as_it_was, context, index);
}

std::vector<route_entry> netlink::delete_address(int index, const ip_prefix& address) {
  address_info unwanted;
  unwanted.address = address;
  return delete_address(index, unwanted);
}

std::vector<route_entry> netlink::delete_address(int index, const address_info& address) {
  const bool v6 = address.address.address.v6;
  const auto before = v6 ? std::vector<address_info>{} : address_details(index);
  auto routes_before = v6 ? std::vector<route_entry>{} : routes(index);
  netlink_message asked(RTM_DELADDR, NLM_F_ACK);
  describe_address(asked, index, address, false);
  change(asked, "delete address " + to_string(address.address) + " from", index, {EADDRNOTAVAIL, ENODEV});
  if (v6) return {};
  // With the first address of a subnet the kernel deletes the others, unless promote_secondaries is on; with the last
  // one of an interface its routes.
  const auto after = addresses(index);
  for (const auto& a : before) {
    if (a.address == address.address || std::find(after.begin(), after.end(), a.address) != after.end()) continue;
    try {
      add_address(index, a);
    } catch (const std::system_error& e) {
      if (e.code() != std::errc::file_exists) throw;
    }
  }
  // A gateway may be reached by a route that has none.
  std::stable_partition(routes_before.begin(), routes_before.end(), [](const route_entry& r) { return !r.gateway; });
  std::vector<route_entry> lost;
  const auto routes_after = routes(index);
  for (const auto& r : routes_before) {
    if (r.destination.address.v6 || std::find(routes_after.begin(), routes_after.end(), r) != routes_after.end())
      continue;
    try {
      add_route(r);
    } catch (const std::system_error& e) {
      if (e.code() != std::errc::file_exists) lost.push_back(r);
    }
  }
  return lost;
}

int netlink::neighbour_bits(int index, const ip_address& neighbour) {
  netlink_message asked(RTM_GETNEIGH, NLM_F_ACK);
  describe_neighbour(asked, index, neighbour, 0, 0);
  int bits = NUD_NONE;
  const auto result = exchange(asked, [&](const nlmsghdr& m) { bits = payload_header<ndmsg>(m).ndm_state; });
  if (one_of(result.error, {0, ENOENT})) return bits;
  throw_refused("look up neighbour " + to_string(neighbour), result.error, result.explanation);
}

neighbour_state netlink::neighbour(int index, const ip_address& neighbour) {
  const auto bits = neighbour_bits(index, neighbour);
  if ((bits & (NUD_REACHABLE | NUD_PERMANENT | NUD_NOARP)) != 0) return neighbour_state::reachable;
  if ((bits & (NUD_INCOMPLETE | NUD_DELAY | NUD_PROBE)) != 0) return neighbour_state::probing;
  return (bits & NUD_FAILED) != 0 ? neighbour_state::failed : neighbour_state::unknown;
}

std::vector<ip_address> netlink::neighbours(int index) {
  return neighbours_in(index, NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE);
}

std::vector<ip_address> netlink::permanent_neighbours(int index) { return neighbours_in(index, NUD_PERMANENT); }

std::vector<ip_address> netlink::neighbours_in(int index, unsigned states) {
  netlink_message asked(RTM_GETNEIGH, NLM_F_DUMP);
  asked.append<ndmsg>();
  return dump<ip_address>(asked, "list neighbours", [&](const nlmsghdr& m) -> std::optional<ip_address> {
    const auto header = payload_header<ndmsg>(m);
    if (header.ndm_ifindex != index || (header.ndm_state & states) == 0) return std::nullopt;
    return address_in(find_attribute(attributes_after<ndmsg>(m), NDA_DST), header.ndm_family);
  });
}

void netlink::probe_neighbour(int index, const ip_address& neighbour) {
  const auto bits = neighbour_bits(index, neighbour);
  if ((bits & (NUD_PERMANENT | NUD_NOARP | NUD_INCOMPLETE)) != 0) return;
  const auto context = "ask for neighbour " + to_string(neighbour) + " on";
  // What is known is asked at its address; with NTF_USE the kernel would first wait for traffic to confirm it.
  if ((bits & (NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE)) != 0) {
    netlink_message asked(RTM_NEWNEIGH, NLM_F_ACK | NLM_F_REPLACE);
    describe_neighbour(asked, index, neighbour, NUD_PROBE, 0);
    // ENOENT, EINVAL: it has been forgotten meanwhile.
    change(asked, context, index, {ENOENT, EINVAL});
    if ((neighbour_bits(index, neighbour) & (NUD_PROBE | NUD_REACHABLE | NUD_INCOMPLETE)) != 0) return;
  }
  netlink_message asked(RTM_NEWNEIGH, NLM_F_ACK | NLM_F_CREATE);
  describe_neighbour(asked, index, neighbour, NUD_NONE, NTF_USE);
  change(asked, context, index);
}

}  // namespace lanloom::os
