// SPDX-License-Identifier: Apache-2.0
#include <lanloom/app/attach.hpp>
#include <lanloom/app/commands.hpp>
#include <lanloom/app/control.hpp>
#include <lanloom/app/instance_directory.hpp>

#include "builder.hpp"
#include "config_values.hpp"
#include "privileges.hpp"
#include "remover.hpp"

#include <lanloom/os/listener.hpp>
#include <lanloom/os/netns.hpp>

#include <algorithm>
#include <array>
#include <filesystem>
#include <iostream>

namespace lanloom::app {

namespace {
constexpr std::size_t most_addresses = 4;  // a journal line is short

template <class Value, class Parse>
std::vector<Value> parsed(const std::vector<std::string>& texts, const char* option, const char* form, Parse parse) {
  std::vector<Value> values;
  for (const auto& text : texts) {
    std::string why;
    auto value = parse(text, why);
    if (!value) throw usage_error(std::string(option) + ' ' + text + ": " + (why.empty() ? "" : why + "; ") + form);
    values.push_back(std::move(*value));
  }
  if (values.size() > most_addresses) {
    throw usage_error(std::string(option) + ": at most " + std::to_string(most_addresses) + " of them");
  }
  return values;
}

// A path means the same from everywhere.
std::string place_of(const std::string& netns) {
  if (netns.find('/') == std::string::npos) return netns;
  const auto path = std::filesystem::absolute(netns).lexically_normal().string();
  if (path.size() > 200 || path.find_first_of(" \t\n") != std::string::npos) {
    throw usage_error(netns + ": a path of at most 200 characters without spaces, such as /proc/PID/ns/net");
  }
  return path;
}

os::unique_fd open_place(const std::string& place) {
  try {
    return os::open_netns(place);
  } catch (const std::system_error& e) {
    if (e.code() != std::errc::no_such_file_or_directory && e.code() != std::errc::invalid_argument) throw;
    throw std::runtime_error("netns " + place + ": there is none; name one of `ip netns`, or a path such as " +
                             "/proc/PID/ns/net");
  }
}

instance_facts facts_in(const std::vector<journal_entry>& entries, const std::string& instance) {
  for (const auto& e : entries) {
    if (const auto* facts = std::get_if<instance_facts>(&e)) return *facts;
  }
  throw std::runtime_error(instance + ": its journal says nothing of its bridge; restart the instance");
}

// With whatever hangs on it.
void take_down(const attachment& a, const std::string& instance, journal& log) {
  undo_report report;
  const auto entries = log.entries();
  remover remove(instance, true, entries, report);
  for (auto e = entries.rbegin(); e != entries.rend(); ++e) {
    const auto* link = std::get_if<made_link>(&*e);
    const auto* port = std::get_if<joined_ovs>(&*e);
    const bool its = (link != nullptr && link->name == a.host_interface) ||
                     (port != nullptr && port->port == a.host_interface) || *e == journal_entry(a);
    if (its) remove.undo(*e);
  }
  auto rest = entries;
  std::erase_if(rest, [&](const journal_entry& e) { return belongs_to(e, a); });
  log.replace(std::move(rest));
}

void check_addresses(const attachment& a) {
  for (const auto& address : a.addresses) {
    if (std::count(a.addresses.begin(), a.addresses.end(), address) == 1) continue;
    throw usage_error("--address " + to_string(address) + ": is there twice");
  }
  for (const auto& gateway : a.gateways) {
    const bool reached =
        std::any_of(a.addresses.begin(), a.addresses.end(), [&](const ip_prefix& p) { return p.contains(gateway); });
    if (!reached) throw usage_error("--gateway " + to_string(gateway) + ": no --address has it in its subnet");
  }
}

void refuse_taken(const attachment& a, const os::unique_fd& netns, const std::vector<journal_entry>& entries) {
  if (a.netns_id == os::netns_id(os::open_netns("/proc/self/ns/net"))) {
    throw std::runtime_error("netns " + a.netns + ": is this host's own; give the bridge an address instead");
  }
  for (const auto& e : entries) {
    const auto* other = std::get_if<attachment>(&e);
    if (other == nullptr || other->netns_id != a.netns_id) continue;
    throw std::runtime_error("netns " + a.netns + ": is attached already by " + other->host_interface +
                             "; detach it first");
  }
  for (const auto& e : entries) {
    const auto* made = std::get_if<made_address>(&e);
    if (made == nullptr) continue;
    const bool taken = std::any_of(a.addresses.begin(), a.addresses.end(),
                                   [&](const ip_prefix& p) { return p.address == made->address.address; });
    if (!taken) continue;
    const auto owner = made->netns.empty() ? "bridge " + made->link : "netns " + made->netns;
    throw std::runtime_error("--address " + to_string(made->address) + ": " + owner + " has it; choose another");
  }
  if (os::netlink::in(netns).link_by_name(a.interface)) {
    throw std::runtime_error("netns " + a.netns + ": has an interface " + a.interface +
                             " already; choose another --interface");
  }
}
}  // namespace

int attach(const attach_options& options) {
  require(capability::net_admin, "`lanloom attach`");
  require(capability::sys_admin, "`lanloom attach`");
  attachment a;
  a.netns = place_of(options.netns);
  a.addresses =
      parsed<ip_prefix>(options.addresses, "--address", "write one such as 10.5.0.12/16", parse_interface_address);
  a.gateways = parsed<ip_address>(options.gateways, "--gateway", "write an address", parse_host_address);
  check_addresses(a);
  a.interface =
      parsed<std::string>({options.interface}, "--interface", "write an interface name", parse_interface_name).front();
  if (!os::instance_lock::holder(instance_directory / (options.instance + ".lock"))) {
    throw not_running(options.instance + ": does not run; start it with `lanloom up`");
  }
  const auto netns = open_place(a.netns);
  a.netns_id = os::netns_id(netns);
  a.host_interface = derived_host_interface(options.instance, "a" + std::to_string(a.netns_id));

  journal log = open_journal(options.instance, instance_directory / (options.instance + ".journal"));
  forget_lost(log);  // a namespace that was made anew gets its address again
  const auto facts = facts_in(log.entries(), options.instance);
  refuse_taken(a, netns, log.entries());
  log.append(a);
  try {
    loaded_table none;
    builder build(options.instance, log, none);
    for (const auto& s : steps_of(a, facts, options.instance)) build(s);
  } catch (...) {
    take_down(a, options.instance, log);
    throw;
  }
  std::cerr << options.instance << ": attached " << a.netns << " by " << a.host_interface << '\n';
  return 0;
}

int detach(const std::string& instance, const std::string& netns) {
  require(capability::net_admin, "`lanloom detach`");
  const auto place = place_of(netns);
  journal log = open_journal(instance, instance_directory / (instance + ".journal"));
  std::uint64_t id = 0;
  try {
    id = os::netns_id(os::open_netns(place));
  } catch (const std::system_error&) {
    // Gone: the name alone must do.
  }
  for (const auto& e : log.entries()) {
    const auto* found = std::get_if<attachment>(&e);
    if (found == nullptr || (found->netns != place && (id == 0 || found->netns_id != id))) continue;
    const attachment a = *found;
    take_down(a, instance, log);
    std::cerr << instance << ": detached " << a.netns << '\n';
    return 0;
  }
  throw std::runtime_error("netns " + place + ": is not attached to " + instance);
}

}  // namespace lanloom::app
