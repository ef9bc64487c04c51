// SPDX-License-Identifier: Apache-2.0
// netlink.hpp - links, addresses, routes and neighbours of one network namespace, by one rtnetlink socket.
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
#include <chrono>
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

// In steps of 10 ms.
struct stp_timers {
  std::chrono::milliseconds forward_delay{};
  std::chrono::milliseconds max_age{};
  std::chrono::milliseconds hello{};
  bool operator==(const stp_timers&) const = default;
};

// What our bridges get with STP: the shortest that IEEE 802.1D allows for a forward delay of 4 s. A new port carries
// after 8 s instead of 30.
constexpr stp_timers quick_stp{std::chrono::seconds(4), std::chrono::seconds(6), std::chrono::seconds(1)};

struct link {
  int index = 0;
  std::string name;
  std::string kind;  // "bridge", "veth", "tun", ...; empty for hardware and lo
  std::string alias;
  int master = 0;  // index of the bridge it is a port of, or 0
  int peer = 0;    // a veth's other end, as numbered in the namespace where that lives
  int lower = 0;   // of a macvlan, macvtap or ipvlan: the interface whose frames it shares, if that is here
  unsigned mtu = 0;
  bool up = false;  // by administration; says nothing about carrier
  mac_address mac{};
  bool makes_addresses = true;  // false: IPv6 address generation is switched off
  bool stp = false;             // of a bridge
  stp_timers timers;            // of a bridge
  std::uint32_t port_cost = 0;  // of a bridge's port: what STP counts for the way through it
  bool ethernet = false;        // its frames are Ethernet's: false for lo and tunnels of packets
};

struct veth_end {
  std::string name;
  mac_address mac{};
  std::string alias;
};

// An address with all that is needed to give it to another interface, or back.
struct address_info {
  ip_prefix address{};
  bool permanent = true;          // false: it has a lifetime, so somebody else renews it (DHCP, router advertisement)
  std::uint8_t scope = 0;         // RT_SCOPE_* of linux/rtnetlink.h
  std::string label{};            // IPv4: the interface's name, or "NAME:words"
  bool dad_or_tentative = false;  // it does not work (yet): duplicate detection runs, or found a duplicate
  std::optional<ip_address> broadcast = std::nullopt;
  std::optional<ip_address> peer =
      std::nullopt;              // the other end of a point-to-point link; address.length is the peer's
  std::uint32_t metric = 0;      // of the route to its network; 0: the kernel's choice
  bool no_prefix_route = false;  // the kernel makes no such route
  bool no_dad = false;           // IPv6: was added without duplicate detection
  bool operator==(const address_info&) const = default;
};

// One line of a routing table.
struct route_entry {
  ip_prefix destination{};  // 0.0.0.0/0 or ::/0: default
  std::optional<ip_address> gateway = std::nullopt;
  int out_index = 0;
  std::uint32_t metric = 0;
  std::uint8_t protocol = 0;  // who made it: RTPROT_* of linux/rtnetlink.h
  std::uint8_t scope = 0;     // RT_SCOPE_*
  std::uint8_t type = 1;      // RTN_*; 1: unicast
  std::optional<ip_address> preferred_source = std::nullopt;
  std::uint32_t table = 254;  // RT_TABLE_*; 254: main
  bool onlink = false;        // the gateway is there, whatever the addresses say
  bool complete = true;  // false: it has more to it than is said here (several gateways, its own MTU, an expiry, ...)
  bool operator==(const route_entry&) const = default;
};

// What the kernel knows of a neighbour's Ethernet address.
enum class neighbour_state {
  unknown,    // nothing, or nothing recent
  probing,    // it is asking
  reachable,  // there was an answer lately, or none is needed
  failed,     // there was none
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

  // All are born down. A bridge keeps `mtu` whatever ports join it; with STP it has the quick timers.
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
  void set_alias(int index, std::string_view alias);       // at most 255 bytes; empty: none
  void set_stp(int bridge_index, bool on);                 // on: with the quick timers; off: they stay
  void set_port_cost(int port_index, std::uint16_t cost);  // at least 1
  void set_addr_gen_none(int index);                       // nothing happens where the kernel has no IPv6

  // Whether its packets leave the kernel before they are cut and summed, as an interface may ask for. False: no such
  // link.
  [[nodiscard]] bool uses_tx_offloads(std::string_view name);
  void switch_off_tx_offloads(std::string_view name);

  [[nodiscard]] std::vector<ip_prefix> addresses(int index);
  [[nodiscard]] std::vector<address_info> address_details(int index);
  // IPv6 works at once: duplicate detection does not run, whether or not it says so afterwards (no_dad; with a prefix
  // alone it does). Never with a lifetime.
  void add_address(int index, const ip_prefix& address);
  void add_address(int index, const address_info& address);
  // It alone: what the kernel deletes along with it is added again. Gives the routes for which that failed: their
  // gateway was reached, or their packets were sent, by this address, or they are not complete.
  std::vector<route_entry> delete_address(int index, const ip_prefix& address);
  std::vector<route_entry> delete_address(int index, const address_info& address);

  // Of all tables but local; without those of the kernel and of router advertisements, which come and go by themselves.
  [[nodiscard]] std::vector<route_entry> routes(int out_index);
  // Beside what other links have to the same destination. EEXIST: this very one is there.
  void add_route(const route_entry& wanted);  // EINVAL when it is not complete
  void delete_route(const route_entry& unwanted);

  [[nodiscard]] std::vector<default_route> default_routes();  // of the main table, those with a gateway
  void add_default_route(const default_route& wanted);
  void delete_default_route(const default_route& unwanted);
  [[nodiscard]] std::optional<route> route_to(const ip_address& destination);  // nothing: unreachable

  // Makes the kernel ask anew for the Ethernet address of `neighbour`, without waiting for traffic; it gives up after
  // about 3 s. An entry that somebody made permanent stays. IPv6 asks from a link-local address: while there is none
  // that works, nothing is sent, and the answer is failed.
  void probe_neighbour(int index, const ip_address& neighbour);
  [[nodiscard]] neighbour_state neighbour(int index, const ip_address& neighbour);
  // Those whose Ethernet address the kernel has learned and not given up; those that somebody has written down.
  [[nodiscard]] std::vector<ip_address> neighbours(int index);
  [[nodiscard]] std::vector<ip_address> permanent_neighbours(int index);

 private:
  struct outcome;

  template <class OnMessage>
  outcome exchange(netlink_message& asked, OnMessage on_message);
  template <class Value, class Parse>
  std::vector<Value> dump(netlink_message& asked, const char* context, Parse parse);
  void command(netlink_message& asked, const std::string& context);
  void change(netlink_message& asked, const std::string& what, int index, std::initializer_list<int> fine = {});
  void set_flag(int index, unsigned flag, bool on);
  int neighbour_bits(int index, const ip_address& neighbour);
  std::vector<ip_address> neighbours_in(int index, unsigned states);  // NUD_* of linux/neighbour.h
  int ask_ethtool(std::string_view name, void* question);             // 0, or an error number
  std::optional<link> ask_link(netlink_message& asked, const std::string& context);

  struct socket_closer {
    void operator()(mnl_socket* s) const noexcept;
  };
  std::unique_ptr<mnl_socket, socket_closer> socket_;
  std::vector<std::uint8_t> received_;
  std::uint32_t sequence_ = 0;
};

}  // namespace lanloom::os
