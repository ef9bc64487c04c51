// SPDX-License-Identifier: Apache-2.0
#include <lanloom/app/difference.hpp>

#include <lanloom/app/host_view.hpp>
#include "mac_text.hpp"
#include "uplink.hpp"

#include <algorithm>
#include <initializer_list>
#include <map>
#include <set>

namespace lanloom::app {

namespace {
struct change_printer {
  std::string operator()(const step& s) const { return to_string(s); }
  std::string operator()(const correct_link& c) const {
    return "correct " + to_string(c.what) + " mac " + format_mac(c.mac) + " mtu " + std::to_string(c.mtu);
  }
  std::string operator()(const correct_bridge& c) const {
    return "correct bridge " + c.name + " stp " + (c.stp ? "on" : "off") + " accept_ra 0";
  }
  std::string operator()(const suit_user_space& c) const { return "suit " + c.port + " to a switch in user space"; }
  std::string operator()(const remove_veth& c) const { return "remove veth " + c.name; }
  std::string operator()(const correct_route& c) const {
    return "remove default route via " + to_string(c.unwanted.gateway) + " out of " + to_string(c.out);
  }
  std::string operator()(const undo_entry& c) const { return "undo " + to_string(c.entry); }
  std::string operator()(const keep_entry& c) const { return "adopt " + to_string(c.entry); }
};

// What the plan makes, as the journal would call it.
class entry_collector {
 public:
  explicit entry_collector(const plan& p) : instance_(p.instance) {
    for (const auto& s : p.steps) std::visit(*this, s);
  }

  void operator()(const create_bridge& s) { wanted_.emplace_back(made_link{link_kind::bridge, s.name, s.mac}); }
  void operator()(const open_tap& s) { wanted_.emplace_back(made_link{link_kind::tap, s.name, s.mac}); }
  void operator()(const create_netns& s) { wanted_.emplace_back(made_netns{s.name}); }
  void operator()(const create_veth& s) { wanted_.emplace_back(made_link{link_kind::veth, s.host_name, s.host_mac}); }
  void operator()(const join_bridge& s) {
    if (s.ovs) wanted_.emplace_back(joined_ovs{s.port, s.bridge});
  }
  void operator()(const add_address& s) { wanted_.emplace_back(made_address{s.to.netns, s.to.name, s.address}); }
  void operator()(const take_uplink& s) { wanted_.emplace_back(taken_uplink{s.was.name, s.bridge}); }
  void operator()(const load_table& s) { wanted_.emplace_back(made_table{nft_table_name(s.rules.instance)}); }
  void operator()(const enable_forwarding& s) { wanted_.emplace_back(needs_forwarding{s.v6}); }
  void operator()(const accept_forwards& s) { wanted_.emplace_back(accepted_forwards{s.bridge}); }
  template <class Step>
  void operator()(const Step&) {}

  // A link with another MAC is of a plan with another key, and is corrected.
  [[nodiscard]] bool names(const journal_entry& e) const {
    return std::any_of(wanted_.begin(), wanted_.end(), [&](const journal_entry& w) { return are_of_one(w, e); });
  }

 private:
  std::string instance_;
  std::vector<journal_entry> wanted_;
};

// Entries that stand for a thing of their own. The others go with the whole (`down`) or belong to another's entry.
bool is_thing(const journal_entry& e) {
  return std::holds_alternative<made_link>(e) || std::holds_alternative<made_netns>(e) ||
         std::holds_alternative<made_table>(e) || std::holds_alternative<made_address>(e) ||
         std::holds_alternative<joined_ovs>(e) || std::holds_alternative<accepted_forwards>(e) ||
         std::holds_alternative<needs_forwarding>(e) || std::holds_alternative<taken_uplink>(e);
}

class comparison {
 public:
  comparison(const plan& p, const host_view& kernel, const std::vector<journal_entry>& entries)
      : plan_(p), kernel_(kernel), entries_(entries) {}

  host_difference run() {
    undo_unplanned();
    for (const auto& s : plan_.steps) std::visit(*this, s);
    return std::move(result_);
  }

  void operator()(const create_bridge& s) {
    const auto* found = kernel_.here.find(s.name);
    if (found == nullptr) return make(s, {s.name});
    // Made again by somebody while we run: what hangs on the name is ours to mend.
    const bool replaced = found->link.kind == "bridge" && made(link_kind::bridge, s.name);
    if (!replaced && !ours(*found, "bridge", s.name, "[bridge] name")) return;
    keep(made_link{link_kind::bridge, s.name, s.mac});
    correct(*found, {{s.name, {}}, s.mac, s.mtu, mark_of(plan_.instance)});
    if (found->link.stp != s.stp || kernel_.bridge_takes_adverts) {
      push(correct_bridge{s.name, s.stp});
    }
  }

  void operator()(const use_bridge& s) {
    const auto* found = kernel_.here.find(s.name);
    const bool there = s.ovs ? kernel_.ovs_bridge_exists : found != nullptr;
    if (!there) {
      waiting_.insert(s.name);
      result_.missing.push_back("bridge " + s.name + ": " +
                                (kernel_.ovs_refusal.empty()
                                     ? "there is none; its owner has to make it, or set create = true"
                                     : kernel_.ovs_refusal));
    } else if (!s.ovs && found->link.kind != "bridge") {
      waiting_.insert(s.name);
      result_.conflicts.push_back(s.name + ": is not a bridge; correct [bridge] name");
    }
  }

  void operator()(const open_tap& s) {
    const auto* found = kernel_.here.find(s.name);
    if (found == nullptr) return make(s, {s.name});
    if (!ours(*found, "tun", s.name, "[tap] name")) return;
    keep(made_link{link_kind::tap, s.name, s.mac});
    correct(*found, {{s.name, {}}, s.mac, s.mtu, mark_of(plan_.instance), false});
    if (kernel_.unsuited.contains(s.name)) push(suit_user_space{s.name, {}});
  }

  void operator()(const create_netns& s) {
    if (kernel_.at(s.name) == nullptr) return make(s, {"netns " + s.name});
    if (contains(entries_, made_netns{s.name})) return;
    waiting_.insert(s.name);
    result_.conflicts.push_back("netns " + s.name +
                                ": exists already and is not lanloom's; choose another [[netns]] name or remove it, or "
                                "join it with create = false");
  }

  void operator()(const use_netns& s) {
    const auto* found = kernel_.at(s.name);
    if (found != nullptr && (s.id == 0 || found->id == s.id)) return;
    waiting_.insert(s.name);
    result_.missing.push_back("netns " + s.name + ": there is none; its owner has to make it" +
                              (s.id == 0 ? ", or set create = true" : ""));
  }

  void operator()(const create_veth& s) {
    if (waiting_.contains(s.netns)) return;
    const auto* outside = kernel_.here.find(s.host_name);
    const auto* inside = kernel_.find({s.inside_name, s.netns});
    const auto place = s.inside_name + "@" + s.netns;
    if (outside != nullptr && !ours(*outside, "veth", s.host_name, "[[netns]] host_interface")) {
      waiting_.insert(place);
      return;
    }
    const bool whole = outside != nullptr && inside != nullptr && inside->link.kind == "veth" &&
                       inside->link.peer == outside->link.index;
    if (!whole && inside != nullptr) {
      waiting_.insert({s.host_name, place});
      result_.conflicts.push_back(s.inside_name + " in netns " + s.netns +
                                  ": exists already and is not lanloom's; choose another [[netns]] interface");
      return;
    }
    if (!whole) {
      const auto cause = cause_of(step(s), {"netns " + s.netns});
      if (outside != nullptr) push(remove_veth{s.host_name}, cause);
      fresh_.insert({s.host_name, place});
      return make(s, {s.host_name, place}, cause);
    }
    keep(made_link{link_kind::veth, s.host_name, s.host_mac});
    correct(*outside, {{s.host_name, {}}, s.host_mac, s.mtu, s.alias, false});
    correct(*inside, {{s.inside_name, s.netns}, s.inside_mac, s.mtu, inside->link.alias});
    if (kernel_.unsuited.contains(s.host_name)) push(suit_user_space{s.host_name, link_place{s.inside_name, s.netns}});
  }

  void operator()(const join_bridge& s) {
    if (waiting_.contains(s.bridge) || waiting_.contains(s.port)) return;
    const std::initializer_list<std::string> on{s.bridge, s.port};
    if (s.ovs) {
      const auto in = kernel_.ovs_bridge_of.find(s.port);
      // A switch does not notice that another link has the name of its port.
      const bool there = in != kernel_.ovs_bridge_of.end() && in->second == s.bridge && !made_.contains(s.port);
      if (!there) add(s, on);
      return;
    }
    const auto* port = present({s.port, {}});
    const auto* bridge = present({s.bridge, {}});
    const bool in = port != nullptr && bridge != nullptr && port->link.master == bridge->link.index;
    const bool right = in && (s.cost == 0 || port->link.port_cost == s.cost);
    if (!right) add(s, on);
  }

  void operator()(const add_address& s) {
    if (hangs(s.to)) return;
    const auto* found = present(s.to);
    const bool there = found != nullptr &&
                       std::find(found->addresses.begin(), found->addresses.end(), s.address) != found->addresses.end();
    if (!there) return add(s, {name_of(s.to)});
    // On a bridge of somebody else's an address that is there is theirs.
    if (!s.to.netns.empty() || is_ours(found->link, plan_.instance, entries_)) {
      keep(made_address{s.to.netns, s.to.name, s.address});
    }
  }

  void operator()(const bring_up& s) {
    if (hangs(s.what)) return;
    const auto* found = present(s.what);
    if (found == nullptr || !found->link.up) add(s, {name_of(s.what)});
  }

  void operator()(const add_default_route& s) {
    if (hangs(s.out)) return;
    const auto* out = present(s.out);
    const auto* place = kernel_.at(s.out.netns);
    bool there = false;
    if (out != nullptr) {
      for (const auto& r : place->routes) {
        if (r.protocol != route_protocol || r.gateway.v6 != s.gateway.v6 || r.out_index != out->link.index) continue;
        if (r.gateway == s.gateway) {
          there = true;
        } else {
          push(correct_route{s.out, r});
        }
      }
    }
    if (!there) add(s, {name_of(s.out)});
  }

  void operator()(const take_uplink& s) {
    if (waiting_.contains(s.bridge)) return;
    const auto* found = kernel_.here.find(s.was.name);
    const auto* bridge = kernel_.here.find(s.bridge);
    const auto* taken = find_taken(entries_, s.was.name);
    const auto uplink = "uplink " + s.was.name + ": ";
    if (const auto* now = taken == nullptr ? nullptr : link_at(taken->index); now != nullptr && now != found) {
      result_.missing.push_back(uplink + "is called " + now->link.name + " now; give it its name back, or write the " +
                                "other in [bridge] uplinks and run `lanloom reload`");
    } else if (found == nullptr) {
      result_.missing.push_back(uplink + "there is no such interface; plug it in, or correct [bridge] uplinks");
    } else if (found->link.master != 0 && (bridge == nullptr || found->link.master != bridge->link.index) &&
               !was_taken(found->link)) {
      const auto* master = link_at(found->link.master);
      result_.conflicts.push_back(
          uplink + "is a port of " + (master == nullptr ? "something else" : master->link.name) +
          " already; take it out (ip link set " + s.was.name + " nomaster), or correct [bridge] uplinks");
    } else if (!is_taken(s, kernel_) || taken == nullptr || taken->bridge != s.bridge ||
               taken->index != found->link.index) {
      add(s, {s.bridge});
    }
  }

  void operator()(const load_table& s) {
    if (kernel_.table_is_right) return;
    push(step(s), kernel_.table_is_outdated ? std::string(own_wish) + to_string(step(s)) : std::string());
  }
  void operator()(const enable_forwarding& s) {
    const bool on = s.v6 ? kernel_.forwards.v6 : kernel_.forwards.v4;
    if (!on || !contains(entries_, needs_forwarding{s.v6})) add(s);
  }
  void operator()(const accept_forwards& s) {
    if (!kernel_.forwards_accepted) add(s);
  }

 private:
  void push(change c, std::string cause = {}) {
    if (cause.empty()) cause = to_string(c);
    result_.changes.push_back({std::move(c), std::move(cause)});
  }
  // A step that follows from whatever makes one of these names in this pass.
  template <class Step>
  void add(const Step& s, std::initializer_list<std::string> names = {}) {
    push(step(s), cause_of(step(s), names));
  }
  // A step that makes these names.
  template <class Step>
  void make(const Step& s, std::initializer_list<std::string> names, std::string cause = {}) {
    if (cause.empty()) cause = to_string(step(s));
    for (const auto& name : names) made_.insert_or_assign(name, cause);
    push(step(s), std::move(cause));
  }
  [[nodiscard]] std::string cause_of(const step& s, std::initializer_list<std::string> names) const {
    for (const auto& name : names) {
      if (const auto at = made_.find(name); at != made_.end()) return at->second;
    }
    return to_string(s);
  }
  void keep(journal_entry e) {
    if (!contains(entries_, e)) push(keep_entry{std::move(e)});
  }
  [[nodiscard]] static std::string name_of(const link_place& at) {
    return at.netns.empty() ? at.name : at.name + "@" + at.netns;
  }

  // The link, unless it will be made anew in this very pass.
  const link_view* present(const link_place& at) const {
    return fresh_.contains(name_of(at)) ? nullptr : kernel_.find(at);
  }
  [[nodiscard]] bool hangs(const link_place& at) const {
    return waiting_.contains(at.name) || (!at.netns.empty() && waiting_.contains(at.netns)) || lost_inside(at);
  }
  // The veth that would bring it could not be made.
  [[nodiscard]] bool lost_inside(const link_place& at) const {
    return !at.netns.empty() && waiting_.contains(name_of(at));
  }

  // `key` is what the user can change.
  bool ours(const link_view& found, std::string_view kind, const std::string& name, const char* key) {
    if (found.link.kind == kind && is_ours(found.link, plan_.instance, entries_)) return true;
    waiting_.insert(name);
    result_.conflicts.push_back(name + ": exists already and is not lanloom's; choose another " + key +
                                " or remove it");
    return false;
  }

  [[nodiscard]] const link_view* link_at(int index) const {
    const auto& links = kernel_.here.links;
    const auto at = std::find_if(links.begin(), links.end(), [&](const link_view& l) { return l.link.index == index; });
    return at == links.end() ? nullptr : &*at;
  }

  // By us, for another bridge or under another name perhaps: it is given back in this very pass.
  [[nodiscard]] bool was_taken(const os::link& port) const {
    const auto* taken = find_taken(entries_, port);
    const auto* bridge = taken == nullptr ? nullptr : kernel_.here.find(taken->bridge);
    return bridge != nullptr && bridge->link.index == port.master;
  }

  [[nodiscard]] bool made(link_kind kind, std::string_view name) const {
    return std::any_of(entries_.begin(), entries_.end(), [&](const journal_entry& e) {
      const auto* link = std::get_if<made_link>(&e);
      return link != nullptr && link->kind == kind && link->name == name;
    });
  }

  void correct(const link_view& found, const correct_link& wanted) {
    const auto& l = found.link;
    const bool right = l.mac == wanted.mac && l.mtu == wanted.mtu && l.alias == wanted.alias &&
                       (wanted.makes_addresses || !l.makes_addresses);
    if (!right) push(wanted);
  }

  // Backwards, as they were made.
  void undo_unplanned() {
    const entry_collector planned(plan_);
    for (auto e = entries_.rbegin(); e != entries_.rend(); ++e) {
      if (is_thing(*e) && !planned.names(*e)) push(undo_entry{*e});
    }
  }

  const plan& plan_;
  const host_view& kernel_;
  const std::vector<journal_entry>& entries_;
  host_difference result_;
  std::set<std::string, std::less<>> waiting_;  // names on which nothing can be done in this pass
  std::set<std::string, std::less<>> fresh_;
  std::map<std::string, std::string, std::less<>> made_;  // name -> the line of what makes it in this pass
};
}  // namespace

std::string to_string(const change& c) { return std::visit(change_printer{}, c); }

host_difference difference(const plan& wanted, const host_view& kernel, const std::vector<journal_entry>& entries) {
  return comparison(wanted, kernel, entries).run();
}

}  // namespace lanloom::app
