// SPDX-License-Identifier: Apache-2.0
// What cannot be an uplink, or would not come through it whole, is refused before anything is touched.
#include "uplink.hpp"

#include <lanloom/os/clock.hpp>
#include <lanloom/os/sysctl.hpp>

#include <algorithm>
#include <filesystem>
#include <thread>

namespace lanloom::app {

namespace {
constexpr std::chrono::milliseconds asks_apart{50};
// RTPROT_* of linux/rtnetlink.h.
constexpr std::uint8_t by_advertisement = 9;
constexpr std::uint8_t by_boot = 3;
constexpr std::uint8_t by_administrator = 4;

// Whether one of them answers in time.
bool any_answers(os::netlink& kernel, int index, const std::vector<ip_address>& gateways,
                 std::chrono::milliseconds patience) {
  const auto deadline = os::monotonic_now() + patience;
  for (;;) {
    for (const auto& g : gateways) {
      if (kernel.neighbour(index, g) == os::neighbour_state::reachable) return true;
      kernel.probe_neighbour(index, g);
    }
    if (os::monotonic_now() >= deadline) return false;
    std::this_thread::sleep_for(asks_apart);
  }
}

// One interface that is not ours yet.
class examination {
 public:
  examination(const uplink_state& was, const os::link& found, std::uint16_t mtu)
      : was_(was), found_(found), mtu_(mtu) {}

  void run(std::chrono::milliseconds patience) {
    fits();
    is_free();
    is_static();
    has_plain_routes();
    const auto gateways = gateways_of(was_);
    if (!gateways.empty() && !any_answers(kernel_, found_.index, gateways, patience)) {
      refuse("its default gateway " + to_string(gateways.front()) +
             " does not answer, so nobody could tell later whether the bridge carries; start when it does, or remove "
             "that route");
    }
  }

 private:
  [[noreturn]] void refuse(const std::string& why) const { throw setup_error("uplink " + was_.name + ": " + why); }

  void fits() const {
    if (!found_.ethernet) refuse("is no Ethernet interface; choose another [bridge] uplinks");
    if (found_.kind == "bridge") refuse("is a bridge itself; name its port, or join it with create = false");
    if (is_wireless()) refuse(bearer_of_one_mac);
    if (found_.mtu < mtu_) {
      refuse("has MTU " + std::to_string(found_.mtu) + ", which the LAN's " + std::to_string(mtu_) +
             " do not fit through; set [tap] mtu = " + std::to_string(found_.mtu) +
             " on every host, or run: " + "ip link set " + was_.name + " mtu " + std::to_string(mtu_));
    }
  }

  // Nobody else has its frames, and nobody wrote down what would be lost.
  void is_free() {
    for (const auto& l : kernel_.links()) {
      if (l.lower != found_.index) continue;
      refuse(l.name + ", a " + l.kind + ", takes its frames already, and the kernel lets no bridge have them too; " +
             "remove that, or put a veth of the bridge in its place");
    }
    const auto written = kernel_.permanent_neighbours(found_.index);
    if (written.empty()) return;
    refuse("it has a permanent entry for its neighbour " + to_string(written.front()) +
           ", which would not move along; remove it: ip neigh del " + to_string(written.front()) + " dev " + was_.name);
  }

  [[nodiscard]] bool is_wireless() const {
    std::error_code not_there;
    return std::filesystem::exists("/sys/class/net/" + was_.name + "/phy80211", not_there);
  }

  // Its owner goes on renewing it on an interface where it has no effect any more.
  void is_static() {
    for (const auto& a : kernel_.address_details(found_.index)) {
      if (!a.permanent) refuse_dynamic(a);
      if (a.no_prefix_route && moves(a)) {
        refuse(
            "whoever gave it " + to_string(a.address) +
            " made the route to its subnet by himself, as NetworkManager does, and it would not move along; take it " +
            "from him (nmcli device set " + was_.name + " managed no) and give it that address again");
      }
    }
    for (const auto& r : kernel_.default_routes()) {
      if (r.out_index != found_.index || r.protocol != by_advertisement) continue;
      refuse("its default route by " + to_string(r.gateway) +
             " came by router advertisement, which the bridge does not take; make it a static route, and run: " +
             without_advertisements());
    }
  }

  void has_plain_routes() const {
    for (const auto& r : was_.routes) {
      if (r.protocol > by_administrator || (r.protocol != 0 && r.protocol < by_boot)) {
        refuse("its route to " + to_string(r.destination) + " was made by a DHCP client or routing daemon (protocol " +
               std::to_string(r.protocol) + "), which would not follow it to the bridge; make it a static one");
      }
      if (!r.complete) {
        refuse("its route to " + to_string(r.destination) +
               " has more to it than can be moved (several gateways, an MTU or an expiry of its own); make it a plain "
               "one");
      }
      if (r.gateway && !r.onlink && !covers(*r.gateway)) {
        refuse("its route " + to_string(r) + " leads by " + to_string(*r.gateway) +
               ", which none of its addresses and routes covers any more, so nobody could put it back; remove that " +
               "route, or give " + was_.name + " an address of that network");
      }
    }
  }

  // As the kernel asks when it is given a route: somebody may have taken the address away since.
  [[nodiscard]] bool covers(const ip_address& gateway) const {
    static const auto link_local = *ip_prefix::parse("fe80::/10");
    if (link_local.contains(gateway)) return true;
    const bool by_address = std::any_of(was_.addresses.begin(), was_.addresses.end(), [&](const os::address_info& a) {
      return ip_prefix{a.peer.value_or(a.address.address), a.address.length}.contains(gateway);
    });
    return by_address || std::any_of(was_.routes.begin(), was_.routes.end(), [&](const os::route_entry& r) {
             return !r.gateway && r.destination.contains(gateway);
           });
  }

  [[noreturn]] void refuse_dynamic(const os::address_info& a) const {
    const bool v6 = a.address.address.v6;
    refuse("its address " + to_string(a.address) + " is dynamic (" + (v6 ? "router advertisements or DHCP" : "DHCP") +
           "), and whoever renews it would not follow it to the bridge; give the interface static addresses" +
           (v6 ? ", and run: " + without_advertisements() : std::string()));
  }

  [[nodiscard]] std::string without_advertisements() const {
    return "sysctl -w net.ipv6.conf." + was_.name + ".accept_ra=0; ip -6 address flush dev " + was_.name +
           " dynamic; ip -6 route flush dev " + was_.name + " proto ra";
  }

  const uplink_state& was_;
  const os::link& found_;
  std::uint16_t mtu_;
  os::netlink kernel_;
};

// An address of IPv6 needs a bridge that has IPv6; a new one takes its setting from the default.
void check_v6(const take_uplink& wanted, const host_view& kernel) {
  const bool there = kernel.here.find(wanted.bridge) != nullptr;
  const std::string at = there ? wanted.bridge : "default";
  if (os::read_sysctl("net/ipv6/conf/" + at + "/disable_ipv6") != "1") return;
  for (const auto& a : wanted.was.addresses) {
    if (!a.address.address.v6) continue;
    throw setup_error("uplink " + wanted.was.name + ": its address " + to_string(a.address) + " would not move, IPv6 " +
                      "being switched off " + (there ? "on " + wanted.bridge : "for new interfaces of this host") +
                      "; run: sysctl -w net.ipv6.conf." + at + ".disable_ipv6=0");
  }
}
// It would have two owners, and go with the one that leaves first.
void check_addresses(const take_uplink& wanted, const plan& p) {
  for (const auto& s : p.steps) {
    const auto* ours = std::get_if<add_address>(&s);
    if (ours == nullptr || !ours->to.netns.empty() || ours->to.name != wanted.bridge) continue;
    for (const auto& a : wanted.was.addresses) {
      if (a.address.address != ours->address.address) continue;
      throw setup_error("[bridge] addresses: " + to_string(ours->address) + " is an address of uplink " +
                        wanted.was.name + ", which moves to " + wanted.bridge + " by itself; remove it there");
    }
  }
}
}  // namespace

void check_uplinks(const plan& p, const host_view& kernel, const std::vector<journal_entry>& entries,
                   std::chrono::milliseconds patience) {
  for (const auto& s : p.steps) {
    const auto* taken = std::get_if<take_uplink>(&s);
    if (taken == nullptr) continue;
    check_addresses(*taken, p);
    const auto* found = kernel.here.find(taken->was.name);
    if (const auto known = os::netlink().link_by_name(taken->was.name); found == nullptr && known) {
      throw setup_error("uplink " + taken->was.name + ": is another name of " + known->name +
                        "; write that in [bridge] uplinks");
    }
    if (found == nullptr || find_taken(entries, found->link) != nullptr) continue;
    if (found->link.master != 0) continue;  // ours by its mark, or a conflict: difference says which
    check_v6(*taken, kernel);
    examination(taken->was, found->link, p.facts.mtu).run(patience);
  }
}

}  // namespace lanloom::app
