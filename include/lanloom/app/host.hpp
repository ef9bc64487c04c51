// SPDX-License-Identifier: Apache-2.0
// host.hpp - makes the host as a plan says, keeps it so, and makes it as it was before.
//
// 1. preflight touches nothing; everything that can be refused is refused there.
// 2. converge does what difference(plan, kernel) says (difference.hpp), at the start, after a crash, on reload and when
//    somebody changed something. It writes each thing it makes to the journal first (journal.hpp).
// 3. undo is idempotent, goes on past failures, and works by our marks (ifalias, table name) where the journal is lost.
//    It never takes what others use now: their ports on our bridge, processes in our namespace, a setting that has
//    another value than the one we wrote.
// 4. One thread; the caller holds the instance's lock. Each call is one pass and holds the journal for its length. It
//    works in the caller's network namespace.
// Process: keeper and `down`; CAP_NET_ADMIN, and CAP_SYS_ADMIN for namespaces. Errors: permission_error (exit 4);
// anything else derived from std::exception is exit 1.
#pragma once

#include <lanloom/app/config.hpp>
#include <lanloom/app/journal.hpp>
#include <lanloom/app/permission_error.hpp>
#include <lanloom/app/plan.hpp>
#include <lanloom/os/tap.hpp>

#include <chrono>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

namespace lanloom::app {

// The nft table as it was loaded last, to tell whether somebody changed it.
struct loaded_table {
  std::string text;     // what we gave to nft
  std::string listing;  // what nft made of it; empty: it was gone before it could be listed, and is never right
};

struct setup_error : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// Sentences for the user.
struct undo_report {
  std::vector<std::string> removed;  // "bridge br-lan"
  std::vector<std::string> left;     // what others use, or what nobody can know, and why it stays
  std::vector<std::string> failed;   // what the kernel refused; the next undo tries again
};

// What one pass of converge did.
struct convergence {
  std::vector<std::string> done;                     // one line for each change
  std::size_t wished = 0;                            // of those, how many put nothing right (own_wish)
  std::vector<std::string> missing;                  // what somebody else has to make first; a later pass goes on
  std::vector<std::string> conflicts;                // what somebody else has taken
  undo_report undone;                                // of what the plan does not name any more
  std::vector<std::string> failed;                   // what the kernel refused
  std::map<std::string, std::string> failed_causes;  // of that, as `may` heard them, and the sentences
  bool unproven = false;       // uplinks were taken, in this pass or before: does the bridge carry?
  std::optional<os::tap> tap;  // opened in this pass: it lives as long as this object or a duplicate of it
};

class host {
 public:
  explicit host(std::string instance, const std::filesystem::path& run_directory = "/run/lanloom");

  // An earlier run left something, which converge adopts.
  [[nodiscard]] bool has_leftovers() const;

  // The node of a keeper that was killed ends a moment after it, and its TAP with it: waits for that, at most 2 s.
  void await_predecessor(const plan& p) const;

  // Throws the first thing that would make the start fail or harm the host, as one sentence with its cure. What an
  // earlier run left is no reason. Waits for the default gateways of uplinks no longer than `patience`.
  void preflight(const plan& p, const config& c, std::chrono::milliseconds patience) const;

  // At the start: throws at the first failure, conflict or thing that is missing; the caller calls undo, or leaves what
  // was there before.
  convergence start(const plan& p);

  // While it runs: goes on past failures. `may` is asked once for each cause (caused_change); what it refuses is left
  // alone, with all that follows from it.
  convergence converge(const plan& p, const std::function<bool(const std::string&)>& may);

  // Uplinks that are ports now. A default gateway answered by the bridge: they stay. A start failed: those that it took
  // go back, what it adopted stays.
  [[nodiscard]] std::vector<std::string> taken_uplinks() const;
  void uplinks_proved();
  void give_back_uplinks_but(const std::vector<std::string>& kept);

  // Somebody touched a table of ours: the next pass looks whether it is as we loaded it.
  void doubt_table() noexcept { table_doubted_ = true; }

  // `force`: also a bridge with others' ports and namespaces with processes. The processes are not ended.
  undo_report undo(bool force);

 private:
  class pass;

  std::string instance_;
  std::filesystem::path journal_file_;
  loaded_table table_;
  bool table_doubted_ = false;
};

}  // namespace lanloom::app
