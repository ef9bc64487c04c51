// SPDX-License-Identifier: Apache-2.0
#include "uplink.hpp"

#include <lanloom/app/log.hpp>

#include <algorithm>
#include <exception>
#include <optional>

namespace lanloom::app {

namespace {
constexpr std::size_t told_at_most = 256;  // neighbours that hear of another MAC at once
constexpr std::uint8_t link_scope = 253;   // RT_SCOPE_LINK of linux/rtnetlink.h
}  // namespace

bool moves(const os::address_info& a) { return a.permanent && !(a.address.address.v6 && a.scope == link_scope); }

namespace {
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

std::string listed(const std::vector<journal_entry>& all, const std::string& port) {
  std::string text;
  for (const auto& e : all) {
    if (!speaks_of(e, port)) continue;
    const auto* a = std::get_if<had_address>(&e);
    text += (text.empty() ? "" : ", ") +
            (a != nullptr ? to_string(a->address.address) : "route " + to_string(std::get<had_route>(e).route));
  }
  return text.empty() ? "no addresses" : text;
}
}  // namespace

bool speaks_of(const journal_entry& e, const std::string& port) {
  if (const auto* a = std::get_if<had_address>(&e)) return a->port == port;
  const auto* r = std::get_if<had_route>(&e);
  return r != nullptr && r->port == port;
}

const taken_uplink* find_taken(const std::vector<journal_entry>& entries, const std::string& port) {
  for (const auto& e : entries) {
    const auto* taken = std::get_if<taken_uplink>(&e);
    if (taken != nullptr && taken->port == port) return taken;
  }
  return nullptr;
}

const taken_uplink* find_taken(const std::vector<journal_entry>& entries, const os::link& port) {
  for (const auto& e : entries) {
    const auto* taken = std::get_if<taken_uplink>(&e);
    if (taken != nullptr && taken->index == port.index) return taken;
  }
  return find_taken(entries, port.name);
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
    if (const auto* taken = find_taken(entries, *found)) {
      u.up = taken->was_up;
      for (const auto& e : entries) {
        if (!speaks_of(e, taken->port)) continue;
        if (const auto* a = std::get_if<had_address>(&e)) u.addresses.push_back(a->address);
        if (const auto* r = std::get_if<had_route>(&e)) u.routes.push_back(r->route);
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
void write_down(const take_uplink& wanted, int index, bool known, journal& log) {
  const auto& was = wanted.was;
  auto entries = log.entries();
  std::erase_if(entries, [&](const journal_entry& e) {
    const auto* taken = std::get_if<taken_uplink>(&e);
    return speaks_of(e, was.name) || (taken != nullptr && taken->port == was.name);
  });
  for (const auto& a : was.addresses) entries.emplace_back(had_address{was.name, a});
  for (const auto& r : was.routes) entries.emplace_back(had_route{was.name, r});
  entries.emplace_back(taken_uplink{was.name, wanted.bridge, was.up, index});
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
    if (e.code() == std::errc::operation_not_supported) {
      throw setup_error("uplink " + port.name + ": " + bearer_of_one_mac);
    }
    if (e.code() != std::errc::device_or_resource_busy) throw;
    throw setup_error("uplink " + port.name + ": something else takes its frames already, as a macvlan does; look " +
                      "what (ip -d link show), and remove it");
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
  write_down(wanted, port->index, known, log);
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

// What depends on what is not there any more: its gateway's network was taken away before we came, say.
bool lacks_ground(const std::error_code& refusal) {
  return refusal == std::errc::host_unreachable || refusal == std::errc::network_unreachable ||
         refusal == std::errc::invalid_argument;
}

void put_back(const taken_uplink& taken, const std::vector<journal_entry>& all, os::netlink& kernel, int port,
              int bridge, undo_report& report) {
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
    try {
      make_unless_there([&] { kernel.add_route(out_of(r, port)); });
    } catch (const std::system_error& e) {
      if (!lacks_ground(e.code())) throw;
      report.left.push_back("uplink " + taken.port + ": its route " + to_string(r) +
                            " cannot be put back, what it stands on being gone: " + e.what());
    }
  });
  if (bridge != 0) {
    each([&](const os::address_info& a) { kernel.delete_address(bridge, for_bridge(a)); }, nothing);
  }
  attempt.rethrow();
}

// Under whatever name it has now; or one that was plugged in anew under the old.
std::optional<os::link> find_port(const taken_uplink& taken, os::netlink& kernel) {
  auto found = kernel.link_by_index(taken.index);
  return found ? found : kernel.link_by_name(taken.port);
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
  const auto port = find_port(taken, kernel);
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
  // Down before it has its addresses: those of IPv6 go when an interface goes down.
  if (port->up != taken.was_up) taken.was_up ? kernel.set_up(port->index) : kernel.set_down(port->index);
  put_back(taken, all, kernel, port->index, bridge ? bridge->index : 0, report);
  if (taken.was_up) {
    tell(gateways_in(all, taken.port), kernel, port->index);
    tell(known, kernel, port->index);
  }
  const auto now = port->name == taken.port ? "" : " (" + port->name + " now)";
  report.removed.push_back("uplink " + taken.port + now + " from " + taken.bridge);
}

}  // namespace lanloom::app
