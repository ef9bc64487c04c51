// SPDX-License-Identifier: Apache-2.0
// builder.hpp - carries out the changes of one pass, one after the other. What it makes is in the journal first.
//
// Undoing is remover.hpp's. In the caller's network namespace, with its journal held. Errors: std::system_error and
// what nft and iptables refuse, in their own words.
#pragma once

#include <lanloom/app/difference.hpp>

#include <lanloom/app/host.hpp>
#include <lanloom/os/netlink.hpp>
#include <lanloom/os/tap.hpp>
#include <lanloom/os/unique_fd.hpp>

#include <map>
#include <optional>
#include <string>

namespace lanloom::app {

class builder {
 public:
  builder(std::string instance, journal& log, loaded_table& table)
      : instance_(std::move(instance)), log_(log), table_(table) {}

  void operator()(const step& s) { std::visit(*this, s); }
  void operator()(const correct_link& c);
  void operator()(const correct_bridge& c);
  void operator()(const suit_user_space& c);
  void operator()(const remove_veth& c) { here_.delete_link(c.name); }
  void operator()(const correct_route& c) { at(c.out).delete_default_route(c.unwanted); }
  void operator()(const keep_entry& c);

  void operator()(const create_bridge& s);
  void operator()(const use_bridge&) {}
  void operator()(const open_tap& s);
  void operator()(const create_netns& s);
  void operator()(const use_netns&) {}
  void operator()(const create_veth& s);
  void operator()(const join_bridge& s);
  void operator()(const add_address& s);
  void operator()(const bring_up& s) { at(s.what).set_up(index_of(s.what)); }
  void operator()(const add_default_route& s);
  void operator()(const take_uplink& s);
  void operator()(const load_table& s);
  void operator()(const enable_forwarding& s);
  void operator()(const accept_forwards& s);

  // What open_tap opened.
  [[nodiscard]] std::optional<os::tap> take_tap() noexcept { return std::exchange(tap_, std::nullopt); }

 private:
  template <class Make>
  void make(const journal_entry& entry, Make make_it);
  void refuse_adverts(const std::string& bridge);
  const os::unique_fd& netns(const std::string& name);
  os::netlink& at(const link_place& place);
  int index_of(const link_place& place);

  std::string instance_;
  journal& log_;
  loaded_table& table_;
  os::netlink here_;
  std::map<std::string, os::unique_fd> netns_;
  std::map<std::string, os::netlink> inside_;
  std::optional<os::tap> tap_;
};

}  // namespace lanloom::app
