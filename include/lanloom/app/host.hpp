// SPDX-License-Identifier: Apache-2.0
// host.hpp - makes the host as a plan says, and as it was before.
//
// 1. preflight touches nothing; everything that can be refused is refused there.
// 2. apply writes each thing it makes to the journal first (journal.hpp). When it throws, the caller calls undo.
// 3. undo is idempotent, goes on past failures, and works by our marks (ifalias, table name) where the journal is lost.
//    It never takes what others use now: their ports on our bridge, processes in our namespace, a setting that has
//    another value than the one we wrote.
// 4. One thread; the caller holds the instance's lock. It works in the caller's network namespace.
// Process: keeper and `down`; CAP_NET_ADMIN, and CAP_SYS_ADMIN for namespaces. Errors: permission_error (exit 4);
// anything else derived from std::exception is exit 1.
#pragma once

#include <lanloom/app/config.hpp>
#include <lanloom/app/journal.hpp>
#include <lanloom/app/permission_error.hpp>
#include <lanloom/app/plan.hpp>
#include <lanloom/os/tap.hpp>

#include <filesystem>
#include <stdexcept>
#include <string>
#include <vector>

namespace lanloom::app {

struct setup_error : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// Sentences for the user.
struct undo_report {
  std::vector<std::string> removed;  // "bridge br-lan"
  std::vector<std::string> left;     // what others use, or what nobody can know, and why it stays
  std::vector<std::string> failed;   // what the kernel refused; the next undo tries again
};

class host {
 public:
  explicit host(std::string instance, const std::filesystem::path& run_directory = "/run/lanloom");

  // An earlier run left something: undo, then start.
  [[nodiscard]] bool has_leftovers() const;

  // Throws the first thing that would make apply fail or harm the host, as one sentence with its cure.
  void preflight(const plan& p, const config& c) const;

  // The device lives as long as the returned object or a duplicate of it.
  [[nodiscard]] os::tap apply(const plan& p);

  // `force`: also a bridge with others' ports and namespaces with processes. The processes are not ended.
  undo_report undo(bool force);

 private:
  std::string instance_;
  std::filesystem::path journal_file_;
};

}  // namespace lanloom::app
