// SPDX-License-Identifier: Apache-2.0
// doctor.hpp - finds what silently breaks a bridged overlay on this host, and says how to cure it.
//
// 1. diagnose looks and touches nothing; the only thing it sends are probes for our own addresses, through our own
//    bridge, when the instance runs. No check takes longer than a second, all of them three.
// 2. What this caller may not look at is a WARN that says so.
// 3. A cure is a command line to paste. Those marked `fixable` are ours to apply: apply_cures does, and `down` undoes
//    them. Nothing else is ever changed.
// 4. Names of checks are part of `doctor --json`: entries are only ever added.
// Process: `lanloom doctor`, and the keeper at the end of its start (then without what needs the node to answer, or
// time to pass). Errors: diagnose throws nothing that a single check meets; that becomes a WARN of this check.
#pragma once

#include <lanloom/app/config.hpp>

#include <cstdint>
#include <string>
#include <vector>

namespace lanloom::app {

struct finding {
  enum class verdict : std::uint8_t { pass, warn, fail };

  verdict result = verdict::pass;
  std::string check;  // "forward-bridged"; a check may have several findings
  std::string what;   // one sentence
  std::string cure;   // a command line; empty: there is nothing to do
  bool fixable = false;
};

[[nodiscard]] std::string_view to_string(finding::verdict v) noexcept;  // "PASS", "WARN", "FAIL"

enum class occasion : std::uint8_t { asked, starting };

// In the order of the table of checks.
[[nodiscard]] std::vector<finding> diagnose(const config& c, occasion when);
// Of this host alone, without an instance.
[[nodiscard]] std::vector<finding> diagnose_host();

// Applies the cures that are ours to apply. A sentence for each thing that was done, or could not be.
[[nodiscard]] std::vector<std::string> apply_cures(const config& c, const std::vector<finding>& found);

// "what (cure: ...)" of each FAIL: how `up` ends its start.
[[nodiscard]] std::vector<std::string> failures(const std::vector<finding>& found);

[[nodiscard]] std::string findings_text(const std::vector<finding>& found, bool colour);
[[nodiscard]] std::string findings_json(const std::vector<finding>& found);

// The command. `word` as in commands.hpp; without it and without a running instance only the host is looked at. The
// result is the exit status: 0 without FAIL (after the cures), else 1.
struct doctor_options {
  bool json = false;
  bool fix = false;
};
[[nodiscard]] int doctor(const std::string& word, const doctor_options& options);

}  // namespace lanloom::app
