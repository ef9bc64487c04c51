// SPDX-License-Identifier: Apache-2.0
#include "config_rules.hpp"

#include "config_values.hpp"

#include <lanloom/app/plan.hpp>

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <tuple>
#include <utility>

namespace lanloom::app {

namespace {

std::string indexed(std::string_view list, std::size_t i) { return std::string(list) + "[" + std::to_string(i) + "]"; }

class rule_book {
 public:
  rule_book(const config& c, problem_list& problems) : c_(c), problems_(problems) {}

  void check() {
    unique_names();
    unique_interfaces();
    unique_addresses();
    bridge();
    for (std::size_t i = 0; i < c_.netns.size(); ++i) netns(i);
    listen();
    peers();
    key_files();
    forwarding_is_on();
    source_nat_rules();
    port_forwards();
  }

 private:
  // Remembers who has a value first; add() says who that was.
  template <class Key>
  class owners {
   public:
    // Nothing if the value is new, else the path and the description of its first owner.
    const std::pair<std::string, std::string>* add(const Key& key, std::string path, std::string who) {
      const auto [at, is_new] = first_.try_emplace(key, std::move(path), std::move(who));
      return is_new ? nullptr : &at->second;
    }

   private:
    std::map<Key, std::pair<std::string, std::string>> first_;
  };

  template <class Key>
  void claim(owners<Key>& taken, const Key& key, std::string path, std::string who, std::string_view what,
             const std::string& cure) {
    if (const auto* first = taken.add(key, path, std::move(who))) {
      problem_at(path, std::string(what) + " is that of " + first->second + " already (line " +
                           std::to_string(c_.where.find(first->first).line) + "); " + cure);
    }
  }

  void problem_at(std::string_view path, std::string message) {
    problems_.add(c_.where.find(path), std::move(message));
  }

  void unique_names() {
    owners<std::string> namespaces;
    for (std::size_t i = 0; i < c_.netns.size(); ++i) {
      const auto& n = c_.netns[i];
      if (n.name.empty()) continue;
      claim(namespaces, n.name, indexed("netns", i) + ".name", "another namespace", "the name " + in_quotes(n.name),
            "give each namespace its own");
    }
  }

  void unique_interfaces() {
    owners<std::string> taken;
    const std::string cure = "give each interface its own";
    const auto named = [](const std::string& name) { return "the interface name " + in_quotes(name); };
    claim(taken, c_.bridge.name, "bridge.name", "the bridge", named(c_.bridge.name), cure);
    claim(taken, c_.tap.name, "tap.name", "the TAP", named(c_.tap.name), cure);
    for (std::size_t i = 0; i < c_.bridge.uplinks.size(); ++i) {
      claim(taken, c_.bridge.uplinks[i], indexed("bridge.uplinks", i), "an uplink", named(c_.bridge.uplinks[i]), cure);
    }
    std::set<std::string_view> names;
    for (std::size_t i = 0; i < c_.netns.size(); ++i) {
      const auto& n = c_.netns[i];
      // A second namespace of one name has the first one's derived interface too: said once is enough.
      if (n.host_interface.empty() || !names.insert(n.name).second) continue;
      const auto path = indexed("netns", i) + ".host_interface";
      claim(taken, n.host_interface, path, "namespace " + in_quotes(n.name), named(n.host_interface), cure);
    }
  }

  void unique_addresses() {
    owners<ip_address> taken;
    const auto each = [&](const std::vector<ip_prefix>& addresses, const std::string& list, const std::string& who) {
      for (std::size_t i = 0; i < addresses.size(); ++i) {
        claim(taken, addresses[i].address, indexed(list, i), who, "the address " + to_string(addresses[i].address),
              "give each its own");
      }
    };
    each(c_.bridge.addresses, "bridge.addresses", "the bridge");
    for (std::size_t i = 0; i < c_.netns.size(); ++i) {
      each(c_.netns[i].addresses, indexed("netns", i) + ".addresses", "namespace " + in_quotes(c_.netns[i].name));
    }
  }

  [[nodiscard]] const ip_prefix* subnet_around(const std::vector<ip_prefix>& prefixes, const ip_address& a) const {
    const auto at = std::find_if(prefixes.begin(), prefixes.end(), [&](const ip_prefix& p) { return p.contains(a); });
    return at == prefixes.end() ? nullptr : &*at;
  }

  // The bridge's subnets for a sentence.
  [[nodiscard]] std::string subnets() const {
    std::string text;
    for (const auto& p : c_.bridge.addresses) text += (text.empty() ? "" : ", ") + to_string(p.network());
    return text.empty() ? "none" : text;
  }

  // Whether the bridge has a subnet of that family. One without is a plain switch, whose subnets we cannot know.
  [[nodiscard]] bool bridge_knows(bool v6) const {
    return std::any_of(c_.bridge.addresses.begin(), c_.bridge.addresses.end(),
                       [v6](const ip_prefix& p) { return p.address.v6 == v6; });
  }

  [[nodiscard]] bool outside_bridge(const ip_address& a) const {
    return problems_.sound("bridge.addresses") && !subnet_around(c_.bridge.addresses, a);
  }

  // What of [bridge] is for a bridge that we make, and what for one that we join.
  void bridge() {
    const auto& b = c_.bridge;
    if (b.create) {
      if (b.kind == bridge_kind::ovs) {
        problem_at("bridge.kind", "an Open vSwitch bridge is joined, not made: add create = false, or remove `kind`");
      }
      return;
    }
    if (!b.uplinks.empty()) {
      problem_at("bridge.uplinks",
                 "a bridge with create = false has the uplinks that its owner gave it; remove "
                 "`uplinks`, or set create = true");
    }
    if (b.stp && b.uplinks.empty()) {
      problem_at("bridge.stp", "a bridge with create = false stays as its owner set it; remove `stp`");
    }
  }

  void netns(std::size_t i) {
    const auto& n = c_.netns[i];
    const auto list = indexed("netns", i) + ".addresses";
    for (std::size_t k = 0; k < n.addresses.size(); ++k) {
      const auto& a = n.addresses[k].address;
      if (bridge_knows(a.v6) && outside_bridge(a)) {
        problem_at(indexed(list, k), to_string(a) + " is outside the bridge's subnets (" + subnets() +
                                         "); take an address in one of them");
      }
    }
    std::array<bool, 2> seen{};
    for (std::size_t k = 0; k < n.gateways.size(); ++k) gateway(n, i, k, seen);
  }

  void gateway(const netns_config& n, std::size_t i, std::size_t k, std::array<bool, 2>& seen) {
    const auto& g = n.gateways[k];
    const auto path = indexed(indexed("netns", i) + ".gateway", k);
    const auto is_g = [&g](const ip_prefix& p) { return p.address == g; };
    if (std::exchange(seen[g.v6 ? 1 : 0], true)) {
      problem_at(path, "there are two gateways of one family; keep one");
    } else if (std::any_of(n.addresses.begin(), n.addresses.end(), is_g)) {
      problem_at(path, "the gateway " + to_string(g) + " is the namespace's own address; take the bridge's");
    } else if (bridge_knows(g.v6) && outside_bridge(g)) {
      problem_at(path, "the gateway " + to_string(g) +
                           " is nobody's: it is no address of the bridge and in none of its subnets (" + subnets() +
                           "); take an address of the bridge");
    } else if (const auto* subnet = subnet_around(n.addresses, g); subnet) {
      if (const auto why = not_in_subnet({g, subnet->length}); !why.empty()) {
        problem_at(path, "the gateway " + to_string(g) + " cannot be one: " + std::string(why) +
                             "; take an address of the bridge");
      }
    } else if (problems_.sound(indexed("netns", i) + ".addresses")) {
      problem_at(path, "the gateway " + to_string(g) +
                           " is in no subnet of this namespace's addresses; correct it or their length");
    }
  }

  void peers() {
    owners<std::string> names;
    owners<crypto::public_key> keys;
    owners<std::string> endpoints;
    for (std::size_t i = 0; i < c_.peers.size(); ++i) {
      const auto& p = c_.peers[i];
      const auto path = indexed("peer", i);
      const auto who = p.name.empty() ? "another peer" : "peer " + in_quotes(p.name);
      if (!p.name.empty())
        claim(names, p.name, path + ".name", "another peer", "the name " + in_quotes(p.name), "give each peer its own");
      if (p.public_key != crypto::public_key{}) {
        claim(keys, p.public_key, path + ".public_key", who, "this key", "every host has its own: correct one of them");
      }
      for (std::size_t k = 0; k < p.endpoints.size(); ++k) {
        const auto& e = p.endpoints[k];
        const auto at = indexed(path + ".endpoint", k);
        claim(endpoints, to_string(e), at, who, "the endpoint " + to_string(e),
              "every host has its own: correct one of them");
        if (e.name.empty()) remote(e.at, at);
      }
    }
  }

  void remote(const endpoint& e, const std::string& path) {
    const auto text = "the endpoint " + to_string(e);
    if (const auto* subnet = subnet_around(overlay_, address_of(e))) {
      problem_at(path, text + " is inside the overlay's own subnet " + to_string(*subnet) +
                           "; write the peer's address outside the overlay");
    }
    const auto& own = c_.node.listen;
    if (!problems_.sound("node.listen")) return;
    if (e == own) {
      problem_at(path, text + " is our own, where `listen` takes the peers' datagrams; write the peer's");
    } else if (e.is_v4() != own.is_v4() && (own.is_v4() || !listens_everywhere())) {
      problem_at(path, text + " cannot be reached from `listen` = " + to_string(own) +
                           ", which is of the other family; write [::]:" + std::to_string(own.port) + " there");
    }
  }

  [[nodiscard]] bool listens_everywhere() const { return address_of(c_.node.listen).bytes == ip_address{}.bytes; }

  void listen() {
    if (listens_everywhere()) return;
    if (const auto* subnet = subnet_around(overlay_, address_of(c_.node.listen))) {
      problem_at("node.listen", to_string(c_.node.listen) + " is inside the overlay's own subnet " +
                                    to_string(*subnet) + "; write an address of this host outside the overlay");
    }
  }

  void key_files() {
    if (!problems_.sound("node.private_key")) return;
    const auto own = c_.node.private_key.lexically_normal();
    const auto check = [&](const std::optional<std::filesystem::path>& file, const std::string& path) {
      if (!file || file->lexically_normal() != own) return;
      problem_at(path, "this is the file of `private_key`, which must never leave this host; name a file that " +
                           std::string("`lanloom genpsk` made"));
    };
    check(c_.node.network_secret, "node.network_secret");
    for (std::size_t i = 0; i < c_.peers.size(); ++i)
      check(c_.peers[i].preshared_key, indexed("peer", i) + ".preshared_key");
  }

  // Anything that lets this host route for the LAN needs that family's switch.
  void needs_forwarding(bool v6, const std::string& path) {
    const std::string family = v6 ? "ipv6" : "ipv4";
    if (!problems_.sound("forwarding") || (v6 ? c_.forwarding.ipv6 : c_.forwarding.ipv4)) return;
    problem_at(path,
               "this needs forwarding, which is off for " + family + "; set " + family + " = true in [forwarding]");
  }

  void forwarding_is_on() {
    for (std::size_t i = 0; i < c_.nat.masquerade.size(); ++i) {
      needs_forwarding(c_.nat.masquerade[i].address.v6, indexed("nat.masquerade", i));
    }
    for (std::size_t i = 0; i < c_.nat.snat.size(); ++i) {
      const auto path = indexed("nat.snat", i);
      if (problems_.sound(path)) needs_forwarding(c_.nat.snat[i].source.address.v6, path + ".source");
    }
    for (std::size_t i = 0; i < c_.nat.forward.size(); ++i) {
      const auto path = indexed("nat.forward", i);
      if (problems_.sound(path)) needs_forwarding(c_.nat.forward[i].to.v6, path + ".to");
    }
  }

  void source_nat_rules() {
    owners<ip_prefix> sources;
    for (std::size_t i = 0; i < c_.nat.masquerade.size(); ++i) {
      const auto& p = c_.nat.masquerade[i];
      claim(sources, p, indexed("nat.masquerade", i), "an entry of `masquerade`", "the subnet " + to_string(p),
            "keep one of them");
    }
    for (std::size_t i = 0; i < c_.nat.snat.size(); ++i) {
      const auto& s = c_.nat.snat[i];
      const auto path = indexed("nat.snat", i);
      if (!problems_.sound(path)) continue;
      claim(sources, s.source, path + ".source", "an entry of `snat`", "the subnet " + to_string(s.source),
            "keep one of them");
      if (s.source.address.v6 != s.to.v6) {
        problem_at(path + ".to", to_string(s.to) + " is not of the family of " + to_string(s.source) +
                                     "; write an address of the same");
      }
    }
  }

  void port_forwards() {
    // An entry without an address takes the port on all of them, so it also collides with one that has an address.
    using port_key = std::tuple<forward_protocol, std::uint16_t, bool>;
    std::map<port_key, std::vector<std::size_t>> ports;
    for (std::size_t i = 0; i < c_.nat.forward.size(); ++i) {
      const auto& f = c_.nat.forward[i];
      const auto path = indexed("nat.forward", i);
      if (!problems_.sound(path)) continue;
      const std::string port = (f.protocol == forward_protocol::tcp ? "tcp " : "udp ") + std::to_string(f.port);
      auto& others = ports[{f.protocol, f.port, f.to.v6}];
      for (const auto k : others) {
        const auto& other = c_.nat.forward[k].address;
        if (f.address && other && *f.address != *other) continue;
        problem_at(path + ".port", port + " is forwarded already (line " +
                                       std::to_string(c_.where.find(indexed("nat.forward", k) + ".port").line) +
                                       "); keep one of them");
        break;
      }
      others.push_back(i);
      if (f.protocol == forward_protocol::udp && f.port == c_.node.listen.port) {
        problem_at(path + ".port", port + " is the port that `listen` takes for the peers; forward another");
      }
      if (f.address && f.address->v6 != f.to.v6) {
        problem_at(path + ".address", to_string(*f.address) + " is not of the family of " + to_string(f.to) +
                                          "; write an address of the same");
      }
      // Of a joined bridge without addresses of ours the subnets are its owner's.
      if ((c_.bridge.create || bridge_knows(f.to.v6)) && outside_bridge(f.to)) {
        problem_at(path + ".to", "the target " + to_string(f.to) + " is outside the bridge's subnets (" + subnets() +
                                     "); take an address in one of them");
      }
    }
  }

  const config& c_;
  problem_list& problems_;
  std::vector<ip_prefix> overlay_ = overlay_subnets(c_);
};

}  // namespace

void check_rules(const config& c, problem_list& problems) { rule_book(c, problems).check(); }

}  // namespace lanloom::app
