// SPDX-License-Identifier: Apache-2.0
#include <lanloom/os/monitor.hpp>

#include "netlink_message.hpp"

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <array>

namespace lanloom::os {

namespace {
constexpr int most_messages = 256;

constexpr std::uint32_t group(unsigned number) { return 1U << (number - 1); }

unique_fd subscribe(int protocol, std::uint32_t groups, const char* context) {
  unique_fd socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol));
  sockaddr_nl self{};
  self.nl_family = AF_NETLINK;
  self.nl_groups = groups;
  if (!socket || ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&self), sizeof self) != 0) {
    throw_errno(context);
  }
  return socket;
}

// True when is_change(message) was for any, or when the kernel says that it could not tell all.
template <class IsChange>
bool drain(int socket, const char* context, IsChange is_change) {
  bool changed = false;
  alignas(nlmsghdr) std::array<std::uint8_t, 32768> bytes;
  for (int received = 0; received < most_messages; ++received) {
    sockaddr_nl from{};
    iovec place{bytes.data(), bytes.size()};
    msghdr m{};
    m.msg_name = &from;
    m.msg_namelen = sizeof from;
    m.msg_iov = &place;
    m.msg_iovlen = 1;
    const auto size = ::recvmsg(socket, &m, 0);
    if (size < 0) {
      if (errno == EAGAIN) break;
      if (errno == EINTR) continue;
      if (errno != ENOBUFS) throw_errno(context);
      changed = true;
      continue;
    }
    if (from.nl_pid != 0) continue;
    if ((m.msg_flags & MSG_TRUNC) != 0) changed = true;
    int left = static_cast<int>(size);
    for (auto* n = reinterpret_cast<nlmsghdr*>(bytes.data()); mnl_nlmsg_ok(n, left); n = mnl_nlmsg_next(n, &left)) {
      if (is_change(*n)) changed = true;
    }
  }
  return changed;
}

// Whatever else the groups carry one day is a change too, except what is none: a route remembered for one destination.
bool changes_route(const nlmsghdr& m) {
  if (m.nlmsg_type != RTM_NEWROUTE && m.nlmsg_type != RTM_DELROUTE) return m.nlmsg_type >= NLMSG_MIN_TYPE;
  return (payload_header<rtmsg>(m).rtm_flags & RTM_F_CLONED) == 0;
}

void note_table(const nlmsghdr& m, std::string_view prefix, nft_change& seen) {
  if (m.nlmsg_type >> 8 != NFNL_SUBSYS_NFTABLES) return;
  switch (m.nlmsg_type & 0xff) {
    case NFT_MSG_NEWGEN:  // the end of every transaction, anybody's
      return;
    case NFT_MSG_NEWTABLE:
    case NFT_MSG_DELTABLE:
    case NFT_MSG_NEWCHAIN:
    case NFT_MSG_DELCHAIN:
    case NFT_MSG_NEWRULE:
    case NFT_MSG_DELRULE:
    case NFT_MSG_NEWSET:
    case NFT_MSG_DELSET:
    case NFT_MSG_NEWSETELEM:
    case NFT_MSG_DELSETELEM:
    case NFT_MSG_NEWOBJ:
    case NFT_MSG_DELOBJ:
    case NFT_MSG_NEWFLOWTABLE:
    case NFT_MSG_DELFLOWTABLE:
      break;
    default:
      seen = {true, true};
      return;
  }
  // The name has the same number in all of them.
  static_assert(NFTA_TABLE_NAME == 1 && NFTA_CHAIN_TABLE == 1 && NFTA_RULE_TABLE == 1 && NFTA_SET_TABLE == 1 &&
                NFTA_SET_ELEM_LIST_TABLE == 1 && NFTA_OBJ_TABLE == 1 && NFTA_FLOWTABLE_TABLE == 1);
  const auto name = text_in(find_attribute(attributes_after<nfgenmsg>(m), NFTA_TABLE_NAME));
  const auto family = payload_header<nfgenmsg>(m).nfgen_family;
  if (name.empty() || std::string_view(name).substr(0, prefix.size()) == prefix) seen.named = true;
  if (name.empty() || (name == "filter" && (family == NFPROTO_IPV4 || family == NFPROTO_IPV6))) seen.filter = true;
}
}  // namespace

monitor::monitor()
    : route_(subscribe(NETLINK_ROUTE,
                       group(RTNLGRP_LINK) | group(RTNLGRP_IPV4_IFADDR) | group(RTNLGRP_IPV6_IFADDR) |
                           group(RTNLGRP_IPV4_ROUTE) | group(RTNLGRP_IPV6_ROUTE) | group(RTNLGRP_IPV4_NETCONF) |
                           group(RTNLGRP_IPV6_NETCONF),
                       "watch the network")),
      nft_(subscribe(NETLINK_NETFILTER, group(NFNLGRP_NFTABLES), "watch nftables")) {}

bool monitor::drain_route() { return drain(route_.get(), "watch the network", changes_route); }

nft_change monitor::drain_nft(std::string_view table_prefix) {
  nft_change seen;
  const bool lost = drain(nft_.get(), "watch nftables", [&](const nlmsghdr& m) {
    note_table(m, table_prefix, seen);
    return false;
  });
  return lost ? nft_change{true, true} : seen;
}

}  // namespace lanloom::os
