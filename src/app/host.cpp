// SPDX-License-Identifier: Apache-2.0
#include <lanloom/app/host.hpp>
#include <lanloom/app/log.hpp>

#include "forwarding.hpp"
#include "privileges.hpp"

#include <lanloom/os/netlink.hpp>
#include <lanloom/os/netns.hpp>
#include <lanloom/os/nft.hpp>
#include <lanloom/os/sysctl.hpp>

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

namespace lanloom::app {

namespace {
// Does one step after the other. What it makes is in the journal first.
class builder {
 public:
  builder(std::string mark, journal& log) : mark_(std::move(mark)), log_(log) {}

  void operator()(const create_bridge& s) {
    make(made_link{link_kind::bridge, s.name, s.mac}, [&] { here_.create_bridge(s.name, s.mac, s.mtu, false, mark_); });
    const auto key = "net/ipv6/conf/" + s.name + "/accept_ra";
    if (os::read_sysctl(key)) os::write_sysctl(key, "0");
  }
  void operator()(const open_tap& s) {
    make(made_link{link_kind::tap, s.name, s.mac}, [&] { tap_ = os::tap::open(s.name); });
    const int index = index_of({s.name, {}});
    here_.set_mac(index, s.mac);
    here_.set_alias(index, mark_);
    here_.set_addr_gen_none(index);
    here_.set_mtu(index, s.mtu);
  }
  void operator()(const create_netns& s) {
    make(made_netns{s.name}, [&] { netns_.insert_or_assign(s.name, os::create_netns(s.name)); });
  }
  void operator()(const create_veth& s) {
    const os::veth_end outside{s.host_name, s.host_mac, mark_};
    const os::veth_end inside{s.inside_name, s.inside_mac, mark_};
    make(made_link{link_kind::veth, s.host_name, s.host_mac},
         [&] { here_.create_veth(outside, inside, s.mtu, netns(s.netns)); });
  }
  void operator()(const join_bridge& s) { here_.set_master(index_of({s.port, {}}), index_of({s.bridge, {}})); }
  void operator()(const add_address& s) { at(s.to).add_address(index_of(s.to), s.address); }
  void operator()(const bring_up& s) { at(s.what).set_up(index_of(s.what)); }
  void operator()(const add_default_route& s) {
    at(s.out).add_default_route({s.gateway, index_of(s.out), route_protocol});
  }
  void operator()(const load_table& s) {
    const auto before = forwarded_now();
    if (!needs_table(s.rules, before)) return;
    log_.append(made_table{nft_table_name(s.rules.instance)});
    os::nft_apply(nft_ruleset(s.rules, before));
  }
  void operator()(const enable_forwarding& s) { switch_forwarding_on(s.v6, log_); }

  [[nodiscard]] std::optional<os::tap>& tap() noexcept { return tap_; }

 private:
  template <class Make>
  void make(const journal_entry& entry, Make make_it) {
    log_.append(entry);
    try {
      make_it();
    } catch (const std::system_error& e) {
      // Somebody else was faster: undo must not take theirs for ours.
      if (e.code() == std::errc::file_exists || e.code() == std::errc::device_or_resource_busy) log_.retract();
      throw;
    }
  }

  const os::unique_fd& netns(const std::string& name) {
    const auto known = netns_.find(name);
    if (known != netns_.end()) return known->second;
    return netns_.insert_or_assign(name, os::open_netns(name)).first->second;
  }

  os::netlink& at(const link_place& place) {
    if (place.netns.empty()) return here_;
    const auto known = inside_.find(place.netns);
    if (known != inside_.end()) return known->second;
    return inside_.insert_or_assign(place.netns, os::netlink::in(netns(place.netns))).first->second;
  }

  int index_of(const link_place& place) {
    const auto found = at(place).link_by_name(place.name);
    if (!found) throw setup_error(place.name + ": somebody removed it while it was being set up; start again");
    return found->index;
  }

  std::string mark_;
  journal& log_;
  os::netlink here_;
  std::map<std::string, os::unique_fd> netns_;
  std::map<std::string, os::netlink> inside_;
  std::optional<os::tap> tap_;
};
}  // namespace

host::host(std::string instance, const std::filesystem::path& run_directory)
    : instance_(std::move(instance)), journal_file_(run_directory / (instance_ + ".journal")) {}

bool host::has_leftovers() const {
  require(capability::net_admin, "looking for leftovers");
  if (!read_journal(journal_file_, read_origin()).entries.empty()) return true;
  const auto links = os::netlink().links();
  const auto ours = [mark = mark_of(instance_)](const os::link& l) { return l.alias == mark; };
  return std::any_of(links.begin(), links.end(), ours) || os::nft_table_exists(nft_table_name(instance_));
}

os::tap host::apply(const plan& p) {
  journal log(journal_file_, read_origin());
  builder build(mark_of(instance_), log);
  for (const auto& s : p.steps) {
    spdlog::debug("{}", to_string(s));
    std::visit(build, s);
  }
  if (!build.tap()) throw setup_error("the plan opens no TAP");
  return std::move(*build.tap());
}

}  // namespace lanloom::app
