// SPDX-License-Identifier: Apache-2.0
#include <lanloom/app/host_view.hpp>

#include "forwarding.hpp"

#include <lanloom/os/netns.hpp>
#include <lanloom/os/ovs.hpp>
#include <lanloom/os/sysctl.hpp>

#include <algorithm>
#include <set>

namespace lanloom::app {

namespace {
place_view read_place(os::netlink& kernel, std::uint64_t id) {
  place_view view;
  view.id = id;
  for (auto& l : kernel.links()) view.links.push_back({std::move(l), {}, {}});
  for (auto& l : view.links) l.addresses = kernel.addresses(l.link.index);
  view.routes = kernel.default_routes();
  return view;
}

// One that is not there is nothing to look at.
void read_netns(const std::string& name, host_view& view) {
  try {
    const auto file = os::open_netns(name);
    auto kernel = os::netlink::in(file);
    view.netns.insert_or_assign(name, read_place(kernel, os::netns_id(file)));
  } catch (const std::system_error& e) {
    if (e.code() != std::errc::no_such_file_or_directory && e.code() != std::errc::invalid_argument) throw;
  }
}

std::set<std::string> names_of(const plan& p, const std::vector<journal_entry>& entries) {
  std::set<std::string> names;
  for (const auto& s : p.steps) {
    if (const auto* made = std::get_if<create_netns>(&s)) names.insert(made->name);
    if (const auto* used = std::get_if<use_netns>(&s)) names.insert(used->name);
  }
  for (const auto& e : entries) {
    if (const auto* made = std::get_if<made_netns>(&e)) names.insert(made->name);
  }
  return names;
}

// By the host's stack.
bool is_ignored(const std::string& port) {
  const auto wanted = ignoring_sysctls(port);
  return std::all_of(wanted.begin(), wanted.end(), [](const auto& s) {
    const auto now = os::read_sysctl(s.first);
    return !now || *now == s.second;
  });
}

struct special_reader {
  host_view& view;
  os::netlink& kernel;
  const std::string instance;

  void operator()(const create_bridge& s) const {
    view.bridge_takes_adverts = os::read_sysctl("net/ipv6/conf/" + s.name + "/accept_ra").value_or("0") != "0";
  }
  void operator()(const use_bridge& s) const {
    if (!s.ovs) return;
    try {
      const auto ports = os::ovs_ports(s.name);
      view.ovs_bridge_exists = ports.has_value();
      if (!ports) return;
      for (const auto& port : *ports) view.ovs_bridge_of.insert_or_assign(port, s.name);
    } catch (const os::ovs_refused& e) {  // the rest of the host does not wait for it
      view.ovs_refusal = e.what();
    }
  }
  void operator()(const open_tap& s) const {
    if (s.user_space && !is_ignored(s.name)) view.unsuited.insert(s.name);
  }
  void operator()(const create_veth& s) const {
    if (!s.user_space || view.find({s.inside_name, s.netns}) == nullptr) return;
    const bool whole = !os::netlink::in(os::open_netns(s.netns)).uses_tx_offloads(s.inside_name);
    if (!whole || !is_ignored(s.host_name)) view.unsuited.insert(s.host_name);
  }
  void operator()(const take_uplink& s) const {
    for (auto& l : view.here.links) {
      if (l.link.name == s.bridge) l.routes = kernel.routes(l.link.index);
    }
  }
  void operator()(const accept_forwards& s) const {
    view.forwards_accepted = true;
    for (const auto& f : forwards_of(s, instance)) {
      if (lacks_bridge_forwards(f)) view.forwards_accepted = false;
    }
  }
  template <class Step>
  void operator()(const Step&) const {}
};
}  // namespace

std::vector<bridge_forwards> forwards_of(const accept_forwards& s, const std::string& instance) {
  const std::vector<std::string> any{"+"};
  const std::vector<std::string> none;
  return {{instance, s.bridge, false, s.routed.v4 ? any : none}, {instance, s.bridge, true, s.routed.v6 ? any : none}};
}

std::vector<std::pair<std::string, std::string>> ignoring_sysctls(const std::string& port) {
  const auto v4 = "net/ipv4/conf/" + port + "/";
  return {{v4 + "arp_ignore", "8"}, {v4 + "rp_filter", "1"}, {"net/ipv6/conf/" + port + "/disable_ipv6", "1"}};
}

const link_view* place_view::find(std::string_view name) const noexcept {
  for (const auto& l : links) {
    if (l.link.name == name) return &l;
  }
  return nullptr;
}

const place_view* host_view::at(std::string_view name) const noexcept {
  if (name.empty()) return &here;
  const auto found = netns.find(name);
  return found == netns.end() ? nullptr : &found->second;
}

const link_view* host_view::find(const link_place& place) const noexcept {
  const auto* view = at(place.netns);
  return view == nullptr ? nullptr : view->find(place.name);
}

host_view read_host(const plan& p, const std::vector<journal_entry>& entries) {
  host_view view;
  os::netlink kernel;
  view.here = read_place(kernel, 0);
  for (const auto& name : names_of(p, entries)) read_netns(name, view);
  view.forwards = forwarded_now();
  const special_reader read{view, kernel, p.instance};
  for (const auto& s : p.steps) std::visit(read, s);
  return view;
}

std::optional<link_kind> kind_of(const os::link& l) noexcept {
  if (l.kind == "bridge") return link_kind::bridge;
  if (l.kind == "veth") return link_kind::veth;
  if (l.kind == "tun") return link_kind::tap;
  return std::nullopt;
}

bool is_ours(const os::link& l, std::string_view instance, const std::vector<journal_entry>& entries) {
  if (l.alias == mark_of(instance) || l.alias == attached_mark_of(instance)) return true;
  const auto kind = kind_of(l);
  return kind && contains(entries, made_link{*kind, l.name, l.mac});
}

}  // namespace lanloom::app
