// SPDX-License-Identifier: Apache-2.0
#include <lanloom/app/host.hpp>

#include "forwarding.hpp"
#include "privileges.hpp"

#include <lanloom/os/netlink.hpp>
#include <lanloom/os/netns.hpp>
#include <lanloom/os/nft.hpp>
#include <lanloom/os/sysctl.hpp>

#include <sys/stat.h>

#include <algorithm>

namespace lanloom::app {

namespace {
// What a plan needs from the system, each with its cure.
struct means_check {
  void operator()(const create_bridge&) const {}
  void operator()(const open_tap&) const {
    struct stat device {};
    if (::stat("/dev/net/tun", &device) != 0 || !S_ISCHR(device.st_mode)) {
      throw setup_error("there is no /dev/net/tun; load the module: modprobe tun");
    }
  }
  void operator()(const create_netns& s) const { require(capability::sys_admin, ("netns " + s.name).c_str()); }
  void operator()(const create_veth&) const {}
  void operator()(const join_bridge&) const {}
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
  void operator()(const bring_up&) const {}
  void operator()(const add_default_route&) const {}
  void operator()(const load_table& s) const {
    if (!needs_table(s.rules, forwarded_now()) || os::nft_present()) return;
    throw setup_error(
        "[nat] or [forwarding] needs the program nft, which is not installed; install the package "
        "nftables");
  }
  void operator()(const enable_forwarding& s) const {
    if (s.v6 && !has_v6()) throw setup_error("[forwarding] ipv6: this host has no IPv6; set it to false");
  }

  [[nodiscard]] static bool has_v6() { return os::read_sysctl(forwarding_key(true)).has_value(); }
};

// Whether a plan's names are free.
class names_check {
 public:
  names_check(std::string instance, const std::vector<journal_entry>& journaled)
      : instance_(std::move(instance)), journaled_(journaled) {}

  void operator()(const create_bridge& s) { check_link(s.name, "[bridge] name"); }
  void operator()(const open_tap& s) { check_link(s.name, "[tap] name"); }
  void operator()(const create_veth& s) { check_link(s.host_name, "[[netns]] host_interface"); }
  void operator()(const create_netns& s) {
    if (!os::netns_exists(s.name)) return;
    const bool ours =
        std::find(journaled_.begin(), journaled_.end(), journal_entry(made_netns{s.name})) != journaled_.end();
    refuse("netns " + s.name, ours, "[[netns]] name");
  }
  void operator()(const join_bridge&) const {}
  void operator()(const add_address&) const {}
  void operator()(const bring_up&) const {}
  void operator()(const add_default_route&) const {}
  void operator()(const load_table&) const {}  // by its name it can only be ours
  void operator()(const enable_forwarding&) const {}

 private:
  void check_link(const std::string& name, const char* key) {
    if (const auto found = here_.link_by_name(name)) refuse(name, found->alias == mark_of(instance_), key);
  }
  [[noreturn]] void refuse(const std::string& what, bool ours, const char* key) const {
    if (ours)
      throw setup_error(what + ": left over from an earlier run; remove it with: lanloom down " + instance_ +
                        " (with --force where others use it)");
    throw setup_error(what + ": exists already and is not lanloom's; choose another " + key + " or remove it");
  }

  std::string instance_;
  const std::vector<journal_entry>& journaled_;
  os::netlink here_;
};

ip_address address_of(const endpoint& e) {
  ip_address a{e.address, true};
  if (!e.is_v4()) return a;
  std::copy_n(e.address.begin() + 12, 4, a.bytes.begin());
  std::fill(a.bytes.begin() + 4, a.bytes.end(), std::uint8_t{0});
  a.v6 = false;
  return a;
}

// The overlay must not take over addresses that the host reaches otherwise, least of all its peers'.
void check_subnets(const config& c) {
  const auto subnets = overlay_subnets(c);
  for (const auto& subnet : subnets) {
    for (const auto& peer : c.peers) {
      if (!peer.remote || !subnet.contains(address_of(*peer.remote))) continue;
      throw setup_error("peer " + peer.name + ": its endpoint " + to_string(*peer.remote) +
                        " lies inside the overlay's " + to_string(subnet) +
                        ", so its packets would go into the tunnel itself; choose another subnet");
    }
  }
  os::netlink here;
  for (const auto& l : here.links()) {
    for (const auto& address : here.addresses(l.index)) {
      for (const auto& subnet : subnets) {
        if (!subnet.overlaps(address)) continue;
        throw setup_error(to_string(subnet) + ": this host has " + to_string(address) + " on " + l.name +
                          " already; choose another subnet for the overlay, the same on every host");
      }
    }
  }
}
}  // namespace

void host::preflight(const plan& p, const config& c) const {
  require(capability::net_admin, "making interfaces");
  for (const auto& s : p.steps) std::visit(means_check{}, s);
  const auto content = read_journal(journal_file_, read_origin());
  names_check names(instance_, content.entries);
  for (const auto& s : p.steps) std::visit(names, s);
  check_subnets(c);
}

}  // namespace lanloom::app
