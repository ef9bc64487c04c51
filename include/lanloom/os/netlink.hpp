// SPDX-License-Identifier: Apache-2.0
// netlink.hpp - links, addresses and routes of one network namespace, by one rtnetlink socket.
//
// 1. A socket stays bound to the namespace it was made in, wherever the process goes later.
// 2. Every call is one question and its answer; nothing is cached. Creating is exclusive (EEXIST), and what could not
//    be completed is removed again. Deleting what is not there succeeds.
// 3. Errors are std::system_error: what was tried on which object, the kernel's error, and its explanation where it
//    gives one ("create bridge br-lan: File exists").
// Used by the keeper and by attach/detach (one thread; CAP_NET_ADMIN, and CAP_SYS_ADMIN to enter a namespace).
#pragma once

#include <lanloom/base/ip_prefix.hpp>
#include <lanloom/os/unique_fd.hpp>

#include <array>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

struct mnl_socket;

namespace lanloom::os {

using mac_address = std::array<std::uint8_t, 6>;

struct link {
  int index = 0;
  std::string name;
  std::string kind;  // "bridge", "veth", "tun", ...; empty for hardware and lo
  std::string alias;
  int master = 0;  // index of the bridge it is a port of, or 0
  int peer = 0;    // a veth's other end, as numbered in the namespace where that lives
  unsigned mtu = 0;
  bool up = false;  // by administration; says nothing about carrier
  mac_address mac{};
  bool makes_addresses = true;  // false: IPv6 address generation is switched off
  bool stp = false;             // of a bridge
};

struct veth_end {
  std::string name;
  mac_address mac{};
  std::string alias;
};

struct default_route {
  ip_address gateway;
  int out_index = 0;
  std::uint8_t protocol = 0;  // who made it: RTPROT_* of linux/rtnetlink.h
  bool operator==(const default_route&) const = default;
};

struct route {
  int out_index = 0;
  std::optional<ip_address> source;  // the address the kernel would send from
};

class netlink_message;

class netlink {
 public:
  netlink();                                                // in the caller's namespace
  [[nodiscard]] static netlink in(const unique_fd& netns);  // in that one; the caller is back in its own afterwards

  [[nodiscard]] std::vector<link> links();
  [[nodiscard]] std::optional<link> link_by_name(std::string_view name);
  [[nodiscard]] std::optional<link> link_by_index(int index);

  // All are born down. A bridge keeps `mtu` whatever ports join it.
  void create_bridge(const std::string& name, const mac_address& mac, unsigned mtu, bool stp, std::string_view alias);
  // `inside` is born in `inside_netns`; `host`, here, makes no IPv6 addresses.
  void create_veth(const veth_end& host, const veth_end& inside, unsigned mtu, const unique_fd& inside_netns);
  void delete_link(int index);
  void delete_link(std::string_view name);

  void set_up(int index);
  void set_down(int index);
  void set_master(int index, int bridge_index);  // 0: leave the bridge
  void set_mtu(int index, unsigned mtu);
  void set_mac(int index, const mac_address& mac);
  void set_alias(int index, std::string_view alias);  // at most 255 bytes; empty: none
  void set_stp(int bridge_index, bool on);
  void set_addr_gen_none(int index);  // nothing happens where the kernel has no IPv6

  [[nodiscard]] std::vector<ip_prefix> addresses(int index);
  void add_address(int index, const ip_prefix& address);  // IPv6 without duplicate detection: it works at once
  void delete_address(int index, const ip_prefix& address);

  [[nodiscard]] std::vector<default_route> default_routes();  // of the main table, those with a gateway
  void add_default_route(const default_route& wanted);
  void delete_default_route(const default_route& unwanted);
  [[nodiscard]] std::optional<route> route_to(const ip_address& destination);  // nothing: unreachable

 private:
  struct outcome;

  template <class OnMessage>
  outcome exchange(netlink_message& asked, OnMessage on_message);
  template <class Value, class Parse>
  std::vector<Value> dump(netlink_message& asked, const char* context, Parse parse);
  void command(netlink_message& asked, const std::string& context);
  void change(netlink_message& asked, const std::string& what, int index, std::initializer_list<int> fine = {});
  void set_flag(int index, unsigned flag, bool on);
  std::optional<link> ask_link(netlink_message& asked, const std::string& context);

  struct socket_closer {
    void operator()(mnl_socket* s) const noexcept;
  };
  std::unique_ptr<mnl_socket, socket_closer> socket_;
  std::vector<std::uint8_t> received_;
  std::uint32_t sequence_ = 0;
};

}  // namespace lanloom::os
