// SPDX-License-Identifier: Apache-2.0
#include "uplink.hpp"

#include <lanloom/app/log.hpp>

#include <lanloom/os/clock.hpp>
#include <lanloom/os/sysctl.hpp>

#include <algorithm>
#include <exception>
#include <filesystem>
#include <thread>

namespace lanloom::app {

namespace {
constexpr std::chrono::milliseconds asks_apart{50};
constexpr std::size_t told_at_most = 256;  // neighbours that hear of another MAC at once
constexpr const char* bearer_of_one_mac =
    "carries frames of its own MAC address alone, as wireless interfaces do, so no bridge can have it; use NAT in its "
    "place: leave [bridge] uplinks empty and set [nat] masquerade";
// RTPROT_* of linux/rtnetlink.h.
constexpr std::uint8_t by_advertisement = 9;
constexpr std::uint8_t by_boot = 3;
constexpr std::uint8_t by_administrator = 4;
constexpr std::uint8_t link_scope = 253;  // RT_SCOPE_LINK

bool moves(const os::address_info& a) { return a.permanent && !(a.address.address.v6 && a.scope == link_scope); }

os::address_info as_it_was(os::address_info a) {
  a.dad_or_tentative = false;
  return a;
}
// A label names the interface.
os::address_info for_bridge(os::address_info a) {
  a.label.clear();
  return a;
}

os::route_entry out_of(os::route_entry r, int index) {
  r.out_index = index;
  return r;
}

bool has(const std::vector<ip_prefix>& all, const ip_prefix& one) {
  return std::find(all.begin(), all.end(), one) != all.end();
}

template <class Value>
void add_once(std::vector<Value>& all, Value one) {
  if (std::find(all.begin(), all.end(), one) == all.end()) all.push_back(std::move(one));
}

// Whoever was faster, or an earlier try, has made it already.
template <class Make>
void make_unless_there(Make make_it) {
  try {
    make_it();
  } catch (const std::system_error& e) {
    if (e.code() != std::errc::file_exists) throw;
  }
}

const taken_uplink* find_taken(const std::vector<journal_entry>& entries, const std::string& port) {
  for (const auto& e : entries) {
    const auto* taken = std::get_if<taken_uplink>(&e);
    if (taken != nullptr && taken->port == port) return taken;
  }
  return nullptr;
}

// What the kernel has there that would move.
void add_state(os::netlink& kernel, int index, uplink_state& to) {
  for (const auto& a : kernel.address_details(index)) {
    if (moves(a)) add_once(to.addresses, as_it_was(a));
  }
  for (const auto& r : kernel.routes(index)) add_once(to.routes, out_of(r, 0));
}

// The journal is lost, and the bridge is ours: what nobody asked us to put there came with the uplink.
void add_from_bridge(os::netlink& kernel, const os::link& bridge, const config& c, uplink_state& to) {
  uplink_state on_bridge;
  add_state(kernel, bridge.index, on_bridge);
  for (auto& a : on_bridge.addresses) {
    if (!has(c.bridge.addresses, a.address)) add_once(to.addresses, for_bridge(a));
  }
  for (auto& r : on_bridge.routes) {
    if (r.protocol != route_protocol) add_once(to.routes, std::move(r));
  }
}

// A gateway may be reached by a route that has none: that one moves before it.
void sort_routes(uplink_state& u) {
  std::stable_partition(u.routes.begin(), u.routes.end(), [](const os::route_entry& r) { return !r.gateway; });
}

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
    is_static();
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
    for (const auto& r : was_.routes) {
      if (r.protocol > by_administrator || (r.protocol != 0 && r.protocol < by_boot)) {
        refuse("its route to " + to_string(r.destination) + " was made by a DHCP client or routing daemon (protocol " +
               std::to_string(r.protocol) + "), which would not follow it to the bridge; make it a static one");
      }
      if (r.complete) continue;
      refuse("its route to " + to_string(r.destination) +
             " has more to it than can be moved (several gateways, an MTU or an expiry of its own); make it a plain "
             "one");
    }
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

std::string listed(const std::vector<journal_entry>& all, const std::string& port) {
  std::string text;
  for (const auto& e : all) {
    const auto* a = std::get_if<had_address>(&e);
    if (a != nullptr && a->port == port) text += (text.empty() ? "" : ", ") + to_string(a->address.address);
  }
  return text.empty() ? "no addresses" : text;
}
}  // namespace

bool speaks_of(const journal_entry& e, const std::string& port) {
  if (const auto* a = std::get_if<had_address>(&e)) return a->port == port;
  const auto* r = std::get_if<had_route>(&e);
  return r != nullptr && r->port == port;
}

std::vector<uplink_state> read_uplinks(const config& c, const std::vector<journal_entry>& entries) {
  std::vector<uplink_state> all;
  os::netlink kernel;
  const auto bridge = kernel.link_by_name(c.bridge.name);
  const bool ours = bridge && bridge->kind == "bridge" && is_ours(*bridge, c.instance, entries);
  bool lost = ours && std::none_of(entries.begin(), entries.end(),
                                   [](const journal_entry& e) { return std::holds_alternative<taken_uplink>(e); });
  for (const auto& name : c.bridge.uplinks) {
    const auto found = kernel.link_by_name(name);
    if (!found) continue;
    uplink_state u{name, found->mac, found->up, {}, {}};
    if (const auto* taken = find_taken(entries, name)) {
      u.up = taken->was_up;
      for (const auto& e : entries) {
        const auto* a = std::get_if<had_address>(&e);
        const auto* r = std::get_if<had_route>(&e);
        if (a != nullptr && a->port == name) u.addresses.push_back(a->address);
        if (r != nullptr && r->port == name) u.routes.push_back(r->route);
      }
    } else if (lost && found->master == bridge->index) {
      add_from_bridge(kernel, *bridge, c, u);
      lost = false;  // the first has them all
    }
    add_state(kernel, found->index, u);
    // What cannot be moved is refused beforehand, or came after the taking and is whoever's who made it.
    if (bridge && found->master == bridge->index) {
      std::erase_if(u.routes, [](const os::route_entry& r) { return !r.complete; });
    }
    sort_routes(u);
    all.push_back(std::move(u));
  }
  return all;
}

namespace {
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
}  // namespace

void check_uplinks(const plan& p, const host_view& kernel, const std::vector<journal_entry>& entries,
                   std::chrono::milliseconds patience) {
  for (const auto& s : p.steps) {
    const auto* taken = std::get_if<take_uplink>(&s);
    if (taken == nullptr) continue;
    const auto* found = kernel.here.find(taken->was.name);
    if (found == nullptr || find_taken(entries, taken->was.name) != nullptr) continue;
    if (found->link.master != 0) continue;  // ours by its mark, or a conflict: difference says which
    check_v6(*taken, kernel);
    examination(taken->was, found->link, p.facts.mtu).run(patience);
  }
}

bool is_taken(const take_uplink& wanted, const host_view& kernel) {
  const auto* port = kernel.here.find(wanted.was.name);
  const auto* bridge = kernel.here.find(wanted.bridge);
  if (port == nullptr || bridge == nullptr || port->link.master != bridge->link.index || !port->link.up) return false;
  const auto& was = wanted.was;
  const bool addresses = std::all_of(was.addresses.begin(), was.addresses.end(), [&](const os::address_info& a) {
    return has(bridge->addresses, a.address) && !has(port->addresses, a.address);
  });
  return addresses && std::all_of(was.routes.begin(), was.routes.end(), [&](const os::route_entry& r) {
           const auto& there = bridge->routes;
           return std::find(there.begin(), there.end(), out_of(r, bridge->link.index)) != there.end();
         });
}

namespace {
// In one go, so that a line about an uplink is never without those in front of it.
void write_down(const take_uplink& wanted, bool known, journal& log) {
  const auto& was = wanted.was;
  auto entries = log.entries();
  std::erase_if(entries, [&](const journal_entry& e) {
    const auto* taken = std::get_if<taken_uplink>(&e);
    return speaks_of(e, was.name) || (taken != nullptr && taken->port == was.name);
  });
  for (const auto& a : was.addresses) entries.emplace_back(had_address{was.name, a});
  for (const auto& r : was.routes) entries.emplace_back(had_route{was.name, r});
  entries.emplace_back(taken_uplink{was.name, wanted.bridge, was.up});
  if (!known && !contains(entries, unproven_move{wanted.bridge})) entries.emplace_back(unproven_move{wanted.bridge});
  if (entries != log.entries()) log.replace(std::move(entries));
}

// Whoever has heard of the host at one of two MAC addresses hears of the other: the kernel asks him from there.
void tell(const std::vector<ip_address>& neighbours, os::netlink& kernel, int index) {
  for (std::size_t i = 0; i < std::min(neighbours.size(), told_at_most); ++i) {
    try {
      kernel.probe_neighbour(index, neighbours[i]);
    } catch (const std::system_error& refused) {
      spdlog::debug("{}", refused.what());  // it learns by its own neighbour detection
    }
  }
}

void plug_in(const os::link& port, const os::link& bridge, os::netlink& kernel) {
  try {
    kernel.set_master(port.index, bridge.index);
  } catch (const std::system_error& e) {
    if (e.code() != std::errc::operation_not_supported) throw;
    throw setup_error("uplink " + port.name + ": " + bearer_of_one_mac);
  }
}

void move(const take_uplink& wanted, const os::link& port, const os::link& bridge, os::netlink& kernel) {
  const auto known = kernel.neighbours(port.index);
  if (!port.up) kernel.set_up(port.index);
  if (port.master != bridge.index) plug_in(port, bridge, kernel);
  for (const auto& a : wanted.was.addresses) {
    make_unless_there([&] { kernel.add_address(bridge.index, for_bridge(a)); });
  }
  for (const auto& r : wanted.was.routes) {
    kernel.delete_route(out_of(r, port.index));
    make_unless_there([&] { kernel.add_route(out_of(r, bridge.index)); });
  }
  // Under whatever label it is there.
  for (const auto& a : wanted.was.addresses) kernel.delete_address(port.index, for_bridge(a));
  tell(known, kernel, bridge.index);
}

}  // namespace

void forget(const std::string& port, journal& log) {
  auto rest = log.entries();
  std::erase_if(rest, [&](const journal_entry& e) {
    const auto* taken = std::get_if<taken_uplink>(&e);
    return speaks_of(e, port) || (taken != nullptr && taken->port == port);
  });
  const bool last = std::none_of(rest.begin(), rest.end(),
                                 [](const journal_entry& e) { return std::holds_alternative<taken_uplink>(e); });
  if (last) std::erase_if(rest, [](const journal_entry& e) { return std::holds_alternative<unproven_move>(e); });
  log.replace(std::move(rest));
}

void take(const take_uplink& wanted, journal& log) {
  os::netlink kernel;
  const auto port = kernel.link_by_name(wanted.was.name);
  const auto bridge = kernel.link_by_name(wanted.bridge);
  if (!port || !bridge) {
    throw setup_error((port ? wanted.bridge : wanted.was.name) + ": somebody removed it while it was being set up");
  }
  const bool known = find_taken(log.entries(), wanted.was.name) != nullptr;
  write_down(wanted, known, log);
  try {
    move(wanted, *port, *bridge, kernel);
  } catch (...) {
    if (!known) give_back_new(wanted.was.name, log);  // half an uplink is no uplink: the host goes on as it was
    throw;
  }
}

void give_back_new(const std::string& port, journal& log) {
  const auto* taken = find_taken(log.entries(), port);
  if (taken == nullptr) return;
  undo_report report;
  try {
    give_back(*taken, log.entries(), report);
  } catch (const std::exception& e) {
    spdlog::error("{}", e.what());  // its lines stay: `down` tries again
    return;
  }
  for (const auto& line : report.left) spdlog::warn("{}", line);
  forget(port, log);
}

namespace {
// All is tried; the first refusal is thrown at the end.
class attempts {
 public:
  template <class Do>
  void operator()(Do do_it) {
    try {
      do_it();
    } catch (...) {
      if (!failed_) failed_ = std::current_exception();
    }
  }
  void rethrow() const {
    if (failed_) std::rethrow_exception(failed_);
  }

 private:
  std::exception_ptr failed_;
};

void put_back(const taken_uplink& taken, const std::vector<journal_entry>& all, os::netlink& kernel, int port,
              int bridge) {
  attempts attempt;
  const auto each = [&](auto on_address, auto on_route) {
    for (const auto& e : all) {
      if (!speaks_of(e, taken.port)) continue;
      const auto* a = std::get_if<had_address>(&e);
      attempt([&] { a != nullptr ? on_address(a->address) : on_route(std::get<had_route>(e).route); });
    }
  };
  const auto nothing = [](const auto&) {};
  each([&](const os::address_info& a) { make_unless_there([&] { kernel.add_address(port, a); }); }, nothing);
  each(nothing, [&](const os::route_entry& r) {
    if (bridge != 0) kernel.delete_route(out_of(r, bridge));
    make_unless_there([&] { kernel.add_route(out_of(r, port)); });
  });
  if (bridge != 0) {
    each([&](const os::address_info& a) { kernel.delete_address(bridge, for_bridge(a)); }, nothing);
  }
  attempt.rethrow();
}
std::vector<ip_address> gateways_in(const std::vector<journal_entry>& all, const std::string& port) {
  std::vector<ip_address> gateways;
  for (const auto& e : all) {
    const auto* r = std::get_if<had_route>(&e);
    if (r != nullptr && r->port == port && r->route.gateway) gateways.push_back(*r->route.gateway);
  }
  return gateways;
}
}  // namespace

void give_back(const taken_uplink& taken, const std::vector<journal_entry>& all, undo_report& report) {
  os::netlink kernel;
  const auto port = kernel.link_by_name(taken.port);
  const auto bridge = kernel.link_by_name(taken.bridge);
  if (!port) {
    report.left.push_back("uplink " + taken.port +
                          ": is gone, so what it had cannot be put back: " + listed(all, taken.port));
    return;
  }
  const bool with_us = bridge && port->master == bridge->index;
  if (port->master != 0 && !with_us) {
    report.left.push_back("uplink " + taken.port + ": somebody made it a port of another bridge, so what it had is " +
                          "not put back: " + listed(all, taken.port));
    return;
  }
  const auto known = bridge ? kernel.neighbours(bridge->index) : std::vector<ip_address>{};
  if (with_us) kernel.set_master(port->index, 0);
  if (!port->up && taken.was_up) kernel.set_up(port->index);
  put_back(taken, all, kernel, port->index, bridge ? bridge->index : 0);
  if (taken.was_up) {
    tell(gateways_in(all, taken.port), kernel, port->index);
    tell(known, kernel, port->index);
  } else {
    kernel.set_down(port->index);
  }
  report.removed.push_back("uplink " + taken.port + " from " + taken.bridge);
}

}  // namespace lanloom::app
