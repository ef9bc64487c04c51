// SPDX-License-Identifier: Apache-2.0
#include "builder.hpp"

#include "forwarding.hpp"
#include "uplink.hpp"

#include <lanloom/app/host.hpp>
#include <lanloom/app/host_view.hpp>
#include <lanloom/os/netns.hpp>
#include <lanloom/os/nft.hpp>
#include <lanloom/os/ovs.hpp>
#include <lanloom/os/sysctl.hpp>

#include <algorithm>
#include <utility>

namespace lanloom::app {

template <class Make>
void builder::make(const journal_entry& entry, Make make_it) {
  const bool known = contains(log_.entries(), entry);
  log_.append(entry);
  try {
    make_it();
  } catch (const std::system_error& e) {
    // Somebody else was faster: undo must not take theirs for ours.
    const bool taken = e.code() == std::errc::file_exists || e.code() == std::errc::device_or_resource_busy;
    if (taken && !known) log_.retract(entry);
    throw;
  }
}

const os::unique_fd& builder::netns(const std::string& name) {
  const auto known = netns_.find(name);
  if (known != netns_.end()) return known->second;
  return netns_.insert_or_assign(name, os::open_netns(name)).first->second;
}

os::netlink& builder::at(const link_place& place) {
  if (place.netns.empty()) return here_;
  const auto known = inside_.find(place.netns);
  if (known != inside_.end()) return known->second;
  return inside_.insert_or_assign(place.netns, os::netlink::in(netns(place.netns))).first->second;
}

int builder::index_of(const link_place& place) {
  const auto found = at(place).link_by_name(place.name);
  if (!found) throw setup_error(place.name + ": somebody removed it while it was being set up");
  return found->index;
}

void builder::refuse_adverts(const std::string& bridge) {
  const auto key = "net/ipv6/conf/" + bridge + "/accept_ra";
  if (os::read_sysctl(key)) os::write_sysctl(key, "0");
}

void builder::operator()(const create_bridge& s) {
  make(made_link{link_kind::bridge, s.name, s.mac},
       [&] { here_.create_bridge(s.name, s.mac, s.mtu, s.stp, mark_of(instance_)); });
  refuse_adverts(s.name);
  // Or with the first address of a subnet the kernel takes away the others of that subnet, and the routes by them.
  os::write_sysctl("net/ipv4/conf/" + s.name + "/promote_secondaries", "1");
}

void builder::operator()(const open_tap& s) {
  make(made_link{link_kind::tap, s.name, s.mac}, [&] { tap_ = os::tap::open(s.name); });
  (*this)(correct_link{{s.name, {}}, s.mac, s.mtu, mark_of(instance_), false});
  if (s.user_space) (*this)(suit_user_space{s.name, {}});
}

void builder::operator()(const create_netns& s) {
  // A pin that we died over, before anything was bound to it.
  if (contains(log_.entries(), made_netns{s.name}) && !os::netns_exists(s.name)) os::delete_netns(s.name);
  make(made_netns{s.name}, [&] { netns_.insert_or_assign(s.name, os::create_netns(s.name)); });
}

void builder::operator()(const create_veth& s) {
  const os::veth_end outside{s.host_name, s.host_mac, s.alias};
  // Inside, our mark says that the namespace is ours too.
  const bool ours = contains(log_.entries(), made_netns{s.netns});
  const os::veth_end inside{s.inside_name, s.inside_mac, ours ? s.alias : std::string()};
  make(made_link{link_kind::veth, s.host_name, s.host_mac},
       [&] { here_.create_veth(outside, inside, s.mtu, netns(s.netns)); });
  if (s.user_space) (*this)(suit_user_space{s.host_name, link_place{s.inside_name, s.netns}});
}

void builder::operator()(const join_bridge& s) {
  if (s.ovs) {
    log_.append(joined_ovs{s.port, s.bridge});
    if (os::ovs_bridge_of(s.port) == s.bridge) os::ovs_delete_port(s.port);  // of a link that is no more
    os::ovs_add_port(s.bridge, s.port, instance_);
    return;
  }
  const auto bridge = here_.link_by_name(s.bridge);
  if (!bridge) throw setup_error(s.bridge + ": somebody removed it while it was being joined");
  // A bridge without a MAC of its own takes the lowest of its ports: where ours are all it has, it would take theirs.
  if (!is_ours(*bridge, instance_, log_.entries())) here_.set_mac(bridge->index, bridge->mac);
  const auto port = index_of({s.port, {}});
  here_.set_master(port, bridge->index);
  if (s.cost != 0) here_.set_port_cost(port, s.cost);
}

void builder::operator()(const add_address& s) {
  make(made_address{s.to.netns, s.to.name, s.address}, [&] { at(s.to).add_address(index_of(s.to), s.address); });
}

void builder::operator()(const add_default_route& s) {
  at(s.out).add_default_route({s.gateway, index_of(s.out), route_protocol});
}

void builder::operator()(const take_uplink& s) { take(s, log_); }

void builder::operator()(const load_table& s) {
  record_found_links(s.rules.forwarding, log_);
  const auto text = nft_ruleset(s.rules, guard_of(log_));
  const auto name = nft_table_name(instance_);
  log_.append(made_table{name});
  os::nft_apply(text);
  table_ = {text, os::nft_list_table(name)};
}

void builder::operator()(const enable_forwarding& s) { switch_forwarding_on(s.v6, log_); }

void builder::operator()(const accept_forwards& s) {
  log_.append(accepted_forwards{s.bridge});
  for (const auto& f : forwards_of(s, instance_)) {
    if (lacks_bridge_forwards(f)) allow_bridge_forwards(f);
  }
}

void builder::operator()(const correct_link& c) {
  auto& kernel = at(c.what);
  const auto found = kernel.link_by_name(c.what.name);
  if (!found) throw setup_error(c.what.name + ": somebody removed it while it was being set up");
  if (found->mac != c.mac) kernel.set_mac(found->index, c.mac);
  if (found->alias != c.alias) kernel.set_alias(found->index, c.alias);
  if (!c.makes_addresses && found->makes_addresses) kernel.set_addr_gen_none(found->index);
  if (found->mtu != c.mtu) kernel.set_mtu(found->index, c.mtu);
}

// One that differs by now keeps its place: undo goes backwards.
void builder::operator()(const keep_entry& c) {
  auto entries = log_.entries();
  const auto old =
      std::find_if(entries.begin(), entries.end(), [&](const journal_entry& e) { return are_of_one(e, c.entry); });
  if (old == entries.end()) return log_.append(c.entry);
  *old = c.entry;
  log_.replace(std::move(entries));
}

void builder::operator()(const correct_bridge& c) {
  here_.set_stp(index_of({c.name, {}}), c.stp);
  refuse_adverts(c.name);
}

void builder::operator()(const suit_user_space& c) {
  for (const auto& [key, value] : ignoring_sysctls(c.port)) {
    if (os::read_sysctl(key)) os::write_sysctl(key, value);
  }
  if (c.inside) at(*c.inside).switch_off_tx_offloads(c.inside->name);
}

}  // namespace lanloom::app
