// SPDX-License-Identifier: Apache-2.0
// remover.hpp - undoes what one journal entry speaks of, unless others use it now; forgets what went by itself; and
// finds what bears our mark where the journal is lost.
//
// In the caller's network namespace, with its journal held. The kernel's refusals are thrown.
#pragma once

#include <lanloom/app/host.hpp>
#include <lanloom/os/netlink.hpp>

#include <cstdint>
#include <string>
#include <vector>

namespace lanloom::app {

enum class fate : std::uint8_t { gone, stays };

class remover {
 public:
  // `all` entries tell our ports from others'. `force`: also what others use. `runs`: the instance goes on.
  remover(std::string instance, bool force, std::vector<journal_entry> all, undo_report& report, bool runs = false);

  fate undo(const journal_entry& e) { return std::visit(*this, e); }

  fate operator()(const made_link& e);
  fate operator()(const made_netns& e);
  fate operator()(const made_table& e);
  fate operator()(const made_address& e);
  fate operator()(const joined_ovs& e);
  fate operator()(const accepted_forwards& e);
  fate operator()(const attachment& e);
  fate operator()(const taken_uplink& e);
  // These go by family (undo_forwarding), or say something of what has gone.
  fate operator()(const needs_forwarding&) { return fate::gone; }
  fate operator()(const changed_sysctl&) { return fate::gone; }
  fate operator()(const found_link&) { return fate::gone; }
  fate operator()(const takes_port&) { return fate::gone; }
  fate operator()(const instance_facts&) { return fate::gone; }
  fate operator()(const had_address&) { return fate::gone; }
  fate operator()(const had_route&) { return fate::gone; }
  fate operator()(const unproven_move&) { return fate::gone; }

 private:
  bool has_foreign_ports(const os::link& bridge);
  [[nodiscard]] bool is_lost() const;  // the journal that the entries were in at first
  std::string foreign_addresses(const os::link& bridge);
  bool has_processes(const std::string& name);

  std::string instance_;
  std::string forcing_;
  bool force_;
  std::vector<journal_entry> all_;
  undo_report& report_;
  os::netlink here_;
};

// What was attached goes with its namespace; the name or path may mean another one by now.
void forget_lost(journal& log);

// Adds what bears our mark and has no entry, in the order in which apply makes it.
void find_marked(const std::string& instance, std::vector<journal_entry>& entries);

// The instance's journal for one pass. Where it is lost or damaged, what bears our mark is in it. Throws setup_error
// where it belongs to another network namespace.
[[nodiscard]] journal open_journal(const std::string& instance, const std::filesystem::path& file);

}  // namespace lanloom::app
