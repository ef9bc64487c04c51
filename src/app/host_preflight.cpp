// SPDX-License-Identifier: Apache-2.0
#include <lanloom/app/host.hpp>

#include <lanloom/app/difference.hpp>
#include <lanloom/app/host_view.hpp>
#include <lanloom/app/instance_directory.hpp>
#include <lanloom/app/log.hpp>
#include "config_values.hpp"
#include "forwarding.hpp"
#include "privileges.hpp"
#include "remover.hpp"
#include "uplink.hpp"

#include <lanloom/os/clock.hpp>
#include <lanloom/os/listening.hpp>
#include <lanloom/os/netlink.hpp>
#include <lanloom/os/nft.hpp>
#include <lanloom/os/ovs.hpp>
#include <lanloom/os/sysctl.hpp>

#include <sys/stat.h>

#include <algorithm>
#include <thread>

namespace lanloom::app {

namespace {
constexpr std::chrono::seconds old_tap_patience{2};

// What a plan needs from the system, each with its cure.
struct means_check {
  void operator()(const open_tap&) const {
    struct stat device {};
    if (::stat("/dev/net/tun", &device) != 0 || !S_ISCHR(device.st_mode)) {
      throw setup_error("there is no /dev/net/tun; load the module: modprobe tun");
    }
  }
  void operator()(const create_netns& s) const { require(capability::sys_admin, ("netns " + s.name).c_str()); }
  void operator()(const add_address& s) const {
    if (!s.address.address.v6) return;
    if (!has_v6()) throw setup_error(to_string(s.address) + ": this host has no IPv6; remove the address");
    // A new interface takes its setting from here, a new namespace has its own.
    if (s.to.netns.empty() && os::read_sysctl("net/ipv6/conf/default/disable_ipv6") == "1") {
      throw setup_error(to_string(s.address) +
                        ": IPv6 is switched off for new interfaces of this host; remove the address, or run: "
                        "sysctl -w net.ipv6.conf.default.disable_ipv6=0");
    }
  }
  void operator()(const load_table&) const {
    if (os::nft_present()) return;
    throw setup_error(
        "[nat] or [forwarding] needs the program nft, which is not installed; install the package "
        "nftables");
  }
  void operator()(const enable_forwarding& s) const {
    if (s.v6 && !has_v6()) throw setup_error("[forwarding] ipv6: this host has no IPv6; set it to false");
  }

  void operator()(const use_netns& s) const { require(capability::sys_admin, ("netns " + s.name).c_str()); }
  template <class Step>
  void operator()(const Step&) const {}

  [[nodiscard]] static bool has_v6() { return os::read_sysctl(forwarding_key(true)).has_value(); }
};

// The overlay must not take over addresses that the host reaches otherwise, least of all its peers'.
void check_subnets(const config& c, const host_view& kernel, const std::vector<journal_entry>& entries) {
  const auto subnets = overlay_subnets(c);
  for (const auto& subnet : subnets) {
    for (const auto& peer : c.peers) {
      for (const auto& e : peer.endpoints) {
        if (!e.name.empty() || !subnet.contains(address_of(e.at))) continue;  // names: resolver.hpp
        throw setup_error("peer " + peer.name + ": its endpoint " + to_string(e.at) + " lies inside the overlay's " +
                          to_string(subnet) +
                          ", so its packets would go into the tunnel itself; choose another subnet");
      }
    }
  }
  for (const auto& l : kernel.here.links) {
    // What is on the bridge already, ours or its owner's, is the overlay's own; what comes with an uplink will be.
    const bool uplink =
        std::find(c.bridge.uplinks.begin(), c.bridge.uplinks.end(), l.link.name) != c.bridge.uplinks.end();
    if (l.link.name == c.bridge.name || uplink || is_ours(l.link, c.instance, entries)) continue;
    for (const auto& address : l.addresses) {
      for (const auto& subnet : subnets) {
        if (!subnet.overlaps(address)) continue;
        throw setup_error(to_string(subnet) + ": this host has " + to_string(address) + " on " + l.link.name +
                          " already; choose another subnet for the overlay, the same on every host");
      }
    }
  }
}

// A route to the same addresses is the older one. Others may need it, so it is only said.
void warn_of_routes(const config& c, const host_view& kernel, const std::vector<journal_entry>& entries) {
  os::netlink here;
  for (const auto& l : kernel.here.links) {
    const auto& uplinks = c.bridge.uplinks;
    const bool uplink = std::find(uplinks.begin(), uplinks.end(), l.link.name) != uplinks.end();
    if (l.link.name == c.bridge.name || uplink || is_ours(l.link, c.instance, entries)) continue;
    for (const auto& r : here.routes(l.link.index)) {
      for (const auto& subnet : overlay_subnets(c)) {
        if (r.table != os::route_entry{}.table || r.destination.length < subnet.length) continue;
        if (!subnet.contains(r.destination.address)) continue;
        spdlog::warn(
            "{}: this host has a route to {} by {}, so it does not reach that in the overlay; remove the route, "
            "or choose another subnet for the overlay",
            to_string(subnet), to_string(r.destination), l.link.name);
      }
    }
  }
}

// A bridge of somebody else's keeps its MTU, and whatever is plugged into it must fit.
void check_joined_mtu(const config& c, const host_view& kernel) {
  const auto* bridge = kernel.here.find(c.bridge.name);
  if (c.bridge.create || bridge == nullptr || !c.tap.mtu || *c.tap.mtu == bridge->link.mtu) return;
  throw setup_error("[tap] mtu = " + std::to_string(*c.tap.mtu) + ": the bridge " + c.bridge.name + " has " +
                    std::to_string(bridge->link.mtu) + ", which stays its owner's; remove `mtu`, or set it to that");
}

bool collide(const takes_port& a, const takes_port& b) {
  return a.udp == b.udp && a.port == b.port && (a.address == b.address || a.address == "*" || b.address == "*");
}

void check_ports(const plan& p, const std::filesystem::path& own_journal) {
  const auto origin = read_origin();
  std::error_code gone;
  for (std::filesystem::directory_iterator at(own_journal.parent_path(), gone), end; !gone && at != end;
       at.increment(gone)) {
    if (at->path().extension() != ".journal" || at->path() == own_journal) continue;
    const auto theirs = read_journal(at->path(), origin);
    if (theirs.state == journal_state::other_netns) continue;
    for (const auto& port : forwarded_ports(p)) {
      const bool taken = std::any_of(theirs.entries.begin(), theirs.entries.end(), [&](const journal_entry& e) {
        const auto* other = std::get_if<takes_port>(&e);
        return other != nullptr && collide(port, *other);
      });
      if (!taken) continue;
      throw setup_error("[nat] forward: " + to_string(journal_entry(port)) + " is forwarded by instance " +
                        at->path().stem().string() + " already; choose another port");
    }
  }
}

// The forward would take the callers of a program of this host. One that came after us is its own master.
void check_listeners(const config& c, const std::vector<journal_entry>& entries) {
  for (std::size_t i = 0; i < c.nat.forward.size(); ++i) {
    const auto& f = c.nat.forward[i];
    const bool udp = f.protocol == forward_protocol::udp;
    const auto address = f.address ? to_string(*f.address) : std::string("*");
    if (contains(entries, takes_port{udp, f.port, address})) continue;
    ip_address at;
    at.v6 = f.to.v6;
    if (f.address) at = *f.address;
    if (!os::is_listening(udp ? os::transport::udp : os::transport::tcp, f.port, at)) continue;
    throw setup_error(std::string("[nat] forward: ") + (udp ? "udp" : "tcp") + " port " + std::to_string(f.port) +
                      ": a program of this host listens on it already, and the forward would take its callers; choose "
                      "another port, or stop it");
  }
}

void wait_for_old_tap(const plan& p, const std::vector<journal_entry>& entries) {
  const auto at =
      std::find_if(p.steps.begin(), p.steps.end(), [](const step& s) { return std::holds_alternative<open_tap>(s); });
  if (at == p.steps.end()) return;
  const auto& name = std::get<open_tap>(*at).name;
  const auto deadline = os::monotonic_now() + old_tap_patience;
  os::netlink here;
  for (;;) {
    const auto found = here.link_by_name(name);
    if (!found || !is_ours(*found, p.instance, entries)) return;
    if (os::monotonic_now() >= deadline) {
      throw setup_error(name + ": a process of an earlier run still holds it; end it: fuser /dev/net/tun");
    }
    std::this_thread::sleep_for(std::chrono::milliseconds{5});
  }
}
// The datapath of that bridge; nothing when there is no such bridge.
std::optional<std::string> ovs_datapath(const std::string& name) {
  try {
    if (os::ovs_present() && os::ovs_bridge_exists(name)) return os::ovs_datapath_type(name);
  } catch (const os::ovs_refused&) {  // installed, and not running
  }
  return std::nullopt;
}
// Whoever may not read the journal may not change the host either: a plan to look at does without.
std::vector<journal_entry> entries_of(const std::string& instance) {
  try {
    return read_journal(instance_directory / (instance + ".journal"), read_origin()).entries;
  } catch (const std::system_error& e) {
    if (e.code() != std::errc::permission_denied) throw;
    return {};
  }
}
}  // namespace

host_facts read_facts(const config& c) {
  host_facts facts;
  const auto found = c.bridge.create ? std::nullopt : os::netlink().link_by_name(c.bridge.name);
  if (!c.bridge.create) {
    const bool is_linux = found && found->kind == "bridge";
    const bool may_be_ovs = c.bridge.kind == bridge_kind::ovs || (c.bridge.kind == bridge_kind::automatic && !is_linux);
    const auto datapath = may_be_ovs ? ovs_datapath(c.bridge.name) : std::nullopt;
    facts.ovs = c.bridge.kind == bridge_kind::ovs || datapath.has_value();
    facts.user_space = datapath == "netdev";
  }
  if (c.tap.mtu) {
    facts.mtu = *c.tap.mtu;
  } else if (found) {
    facts.mtu = static_cast<std::uint16_t>(std::clamp(found->mtu, 1280U, 9216U));
  }
  if (!c.bridge.uplinks.empty()) facts.uplinks = read_uplinks(c, entries_of(c.instance));
  return facts;
}

void host::await_predecessor(const plan& p) const {
  wait_for_old_tap(p, read_journal(journal_file_, read_origin()).entries);
}

void host::preflight(const plan& p, const config& c, std::chrono::milliseconds patience) const {
  require(capability::net_admin, "making interfaces");
  for (const auto& s : p.steps) std::visit(means_check{}, s);
  auto entries = read_journal(journal_file_, read_origin()).entries;
  if (entries.empty()) find_marked(instance_, entries);
  const auto kernel = read_host(p, entries);
  check_subnets(c, kernel, entries);
  warn_of_routes(c, kernel, entries);
  check_joined_mtu(c, kernel);
  check_ports(p, journal_file_);
  check_listeners(c, entries);
  check_uplinks(p, kernel, entries, patience);
  const auto found = difference(p, kernel, entries);
  for (const auto* refused : {&found.conflicts, &found.missing}) {
    if (!refused->empty()) throw setup_error(refused->front());
  }
}

}  // namespace lanloom::app
