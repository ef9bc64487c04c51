// SPDX-License-Identifier: Apache-2.0
// journal.hpp - what an instance did to its host, so that it can be undone after a crash too.
//
// 1. <directory>/<instance>.journal, mode 0600: first line its origin (the boot id and the network namespace), then one
//    line per entry, written before the thing is done. Another boot's journal is void: nothing it names can be there
//    any more. Another namespace's is not ours to undo: what it names is there, not here.
// 2. What lives and dies with something that has an entry (routes, bridge membership) has none. Addresses have one, so
//    that those which the configuration does not name any more are told from others'.
// 3. Read strictly and bounded: a torn last line is ignored, any other bad line makes the journal damaged, and what
//    stands before it counts.
// 4. Its directory is made where it is missing, for root to write and all to read.
// 5. On tmpfs: a write is enough, there is nothing to sync.
// 6. Whoever reads it to act, or writes, holds its lock (journal_lock) for that one pass: the keeper, `down`, `attach`
//    and `detach` do.
// Errors: std::system_error naming the file.
#pragma once

#include <lanloom/base/ip_prefix.hpp>
#include <lanloom/crypto/keys.hpp>
#include <lanloom/os/netlink.hpp>
#include <lanloom/os/unique_fd.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace lanloom::app {

enum class link_kind : std::uint8_t { bridge, tap, veth };

struct made_link {  // the MAC tells it from another's of the same name while it does not bear our mark yet
  link_kind kind = link_kind::bridge;
  std::string name;
  os::mac_address mac{};
  bool operator==(const made_link&) const = default;
};
struct made_netns {
  std::string name;
  bool operator==(const made_netns&) const = default;
};
struct made_table {
  std::string name;
  bool operator==(const made_table&) const = default;
};
struct needs_forwarding {  // whether or not it was on already
  bool v6 = false;
  bool operator==(const needs_forwarding&) const = default;
};
struct changed_sysctl {  // also where old_value == new_value: switching forwarding back would change it
  std::string key;       // path below /proc/sys
  std::string old_value;
  std::string new_value;
  bool operator==(const changed_sysctl&) const = default;
};

struct made_address {
  std::string netns;  // empty: the host's own
  std::string link;
  ip_prefix address;
  bool operator==(const made_address&) const = default;
};
struct found_link {  // was there when this host began to forward for us: its traffic was not forwarded before
  std::string name;
  bool bridge = false;
  bool operator==(const found_link&) const = default;
};
struct joined_ovs {  // our port of an Open vSwitch bridge
  std::string port;
  std::string bridge;
  bool operator==(const joined_ovs&) const = default;
};
struct accepted_forwards {  // rules of iptables and ip6tables that bear our mark
  std::string bridge;
  bool operator==(const accepted_forwards&) const = default;
};
struct takes_port {  // a port of the host that is forwarded, so that other instances know
  bool udp = false;
  std::uint16_t port = 0;
  std::string address;  // "*": any
  bool operator==(const takes_port&) const = default;
};
// A namespace that `lanloom attach` wired to the bridge.
struct attachment {
  std::string host_interface;
  std::string netns;           // a name, or a path
  std::uint64_t netns_id = 0;  // os::netns_id
  std::string interface;
  std::vector<ip_prefix> addresses;
  std::vector<ip_address> gateways;
  bool operator==(const attachment&) const = default;
};
// What `attach` must know of the instance, and may not ask a node that could be in an attacker's hand.
struct instance_facts {
  std::string bridge;
  bool ovs = false;
  std::uint16_t mtu = 0;
  crypto::public_key own;
  bool user_space = false;  // Open vSwitch's datapath
  bool operator==(const instance_facts&) const = default;
};

// An interface of this host that became a port of our bridge. Its addresses and routes moved along: as it was before
// stands in had_address and had_route lines in front of it, which mean nothing without it.
struct taken_uplink {
  std::string port;
  std::string bridge;
  bool was_up = true;
  int index = 0;  // tells it, under whatever name, from another that has its name by now
  bool operator==(const taken_uplink&) const = default;
};
struct had_address {
  std::string port;
  os::address_info address;
  bool operator==(const had_address&) const = default;
};
struct had_route {
  std::string port;
  os::route_entry route;  // its out_index is 0
  bool operator==(const had_route&) const = default;
};

// Uplinks were taken, and no default gateway has answered by the bridge since.
struct unproven_move {
  std::string bridge;
  bool operator==(const unproven_move&) const = default;
};

using journal_entry = std::variant<made_link, made_netns, made_table, needs_forwarding, changed_sysctl, made_address,
                                   found_link, joined_ovs, accepted_forwards, takes_port, attachment, instance_facts,
                                   taken_uplink, had_address, had_route, unproven_move>;

[[nodiscard]] std::string to_string(const journal_entry& e);  // one line, without its end
[[nodiscard]] std::optional<journal_entry> parse_journal_entry(std::string_view line);

enum class journal_state : std::uint8_t { absent, other_boot, other_netns, damaged, good };

struct journal_content {
  journal_state state = journal_state::absent;
  std::vector<journal_entry> entries;  // none when absent or of another boot
};

[[nodiscard]] journal_content parse_journal(std::string_view text, std::string_view origin);  // never `absent`
[[nodiscard]] journal_content read_journal(const std::filesystem::path& file, std::string_view origin);

// Replaces the file in one go; without entries it is removed.
void write_journal(const std::filesystem::path& file, std::string_view origin,
                   const std::vector<journal_entry>& entries);

// "<boot id> net:[<inode>]", of the caller's network namespace.
[[nodiscard]] std::string read_origin();

// Whether both speak of one thing, though its MAC or its index may be another by now.
[[nodiscard]] bool are_of_one(const journal_entry& a, const journal_entry& b);

// Whether an entry is there because of that attachment, itself among them.
[[nodiscard]] bool belongs_to(const journal_entry& e, const attachment& a);

template <class Entry>
[[nodiscard]] bool contains(const std::vector<journal_entry>& entries, const Entry& wanted) {
  return std::find(entries.begin(), entries.end(), journal_entry(wanted)) != entries.end();
}

// A journal for one pass: locked while it lives, so that two passes never mix. Waits at most 10 s for another's end,
// then throws std::runtime_error.
class journal {
 public:
  static constexpr std::size_t max_size = 1 << 20;
  static constexpr std::size_t max_line = 512;
  static constexpr std::chrono::seconds patience{10};

  journal(const std::filesystem::path& file, std::string origin);
  journal(journal&&) = default;
  ~journal();

  // As it was found. Entries of another namespace's journal are not there; `damaged`: what stood before the damage.
  [[nodiscard]] journal_state found() const noexcept { return found_; }
  [[nodiscard]] const std::filesystem::path& file() const noexcept { return file_; }
  [[nodiscard]] const std::string& origin() const noexcept { return origin_; }
  [[nodiscard]] const std::vector<journal_entry>& entries() const noexcept { return entries_; }

  void append(const journal_entry& e);  // nothing happens where it stands already
  void retract(const journal_entry& e);
  void replace(std::vector<journal_entry> entries);

 private:
  std::filesystem::path file_;
  std::string origin_;
  os::unique_fd lock_;  // of a file beside the journal, which goes with it
  os::unique_fd fd_;    // at its end; opened by the first append
  journal_state found_ = journal_state::absent;
  std::vector<journal_entry> entries_;
  std::size_t size_ = 0;
};

}  // namespace lanloom::app
