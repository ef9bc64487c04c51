// SPDX-License-Identifier: Apache-2.0
// journal.hpp - what an instance did to its host, so that it can be undone after a crash too.
//
// 1. <directory>/<instance>.journal, mode 0600: first line its origin (the boot id and the network namespace), then one
//    line per entry, written before the thing is done. Another boot's journal is void: nothing it names can be there
//    any more. Another namespace's is not ours to undo: what it names is there, not here.
// 2. What lives and dies with something that has an entry (addresses, routes, bridge membership) has none.
// 3. Read strictly and bounded: a torn last line is ignored, any other bad line makes the journal damaged, and what
//    stands before it counts.
// 4. Its directory is made where it is missing, for root to write and all to read.
// 5. On tmpfs: a write is enough, there is nothing to sync. Whoever uses it holds the instance's lock.
// Errors: std::system_error naming the file.
#pragma once

#include <lanloom/os/netlink.hpp>
#include <lanloom/os/unique_fd.hpp>

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

using journal_entry = std::variant<made_link, made_netns, made_table, needs_forwarding, changed_sysctl>;

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

// A journal open for writing at its end.
class journal {
 public:
  static constexpr std::size_t max_size = 1 << 20;
  static constexpr std::size_t max_line = 512;

  // Goes on with a good journal; starts anew in place of any other.
  journal(const std::filesystem::path& file, std::string_view origin);

  void append(const journal_entry& e);
  // Takes the last line back: what it announced turned out not to be ours to do. REQUIRES an append before.
  void retract();

 private:
  std::string file_;
  os::unique_fd fd_;
  std::size_t size_ = 0;
  std::size_t last_ = 0;  // where the last line begins
};

}  // namespace lanloom::app
