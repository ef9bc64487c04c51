// SPDX-License-Identifier: Apache-2.0
#include <lanloom/os/ovs.hpp>
#include <lanloom/os/program.hpp>
#include <lanloom/os/unique_fd.hpp>

#include <net/if.h>

#include <algorithm>
#include <cstdlib>
#include <initializer_list>

namespace lanloom::os {

namespace {
// Statuses of ovs-vsctl.
constexpr int not_there = 2;
constexpr int other_failure = 1;

program_result run(std::initializer_list<std::string_view> words) {
  std::vector<std::string> arguments{"--timeout=5"};
  arguments.insert(arguments.end(), words.begin(), words.end());
  std::vector<std::string> settings;
  if (const char* where = std::getenv("OVS_RUNDIR")) settings.push_back(std::string("OVS_RUNDIR=") + where);
  return run_program("ovs-vsctl", arguments, {}, std::chrono::seconds(10), settings);
}

[[noreturn]] void throw_refused(const program_result& said) {
  std::string words = said.errors;
  if (said.status > 128) words += (words.empty() ? "" : "\n") + std::string("no answer within 5 seconds");
  throw ovs_refused((words.rfind("ovs-vsctl: ", 0) == 0 ? "" : "ovs-vsctl: ") +
                    (words.empty() ? std::string("it failed without a word") : words));
}

// Without the newline at its end.
std::string answer(program_result said) {
  if (said.status != 0) throw_refused(said);
  while (!said.output.empty() && said.output.back() == '\n') said.output.pop_back();
  return std::move(said.output);
}

std::vector<std::string> lines_of(std::string_view text) {
  std::vector<std::string> lines;
  while (!text.empty()) {
    const auto line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    if (!line.empty()) lines.emplace_back(line);
  }
  return lines;
}

// What would be an option, a separator or a value of another kind to ovs-vsctl is no name.
void check(const char* what, std::string_view name) {
  const auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
           c == '.';
  };
  if (!name.empty() && name.size() < IFNAMSIZ && name.front() != '-' &&
      std::all_of(name.begin(), name.end(), allowed)) {
    return;
  }
  throw_errno(std::string(what) + " \"" + std::string(name) + "\"", EINVAL);
}

std::string mark_of(std::string_view instance) { return "external_ids:lanloom=\"" + std::string(instance) + "\""; }
}  // namespace

bool ovs_present() { return find_program("ovs-vsctl").has_value(); }

bool ovs_bridge_exists(std::string_view bridge) {
  check("Open vSwitch bridge", bridge);
  const auto said = run({"br-exists", bridge});
  if (said.status != 0 && said.status != not_there) throw_refused(said);
  return said.status == 0;
}

std::string ovs_datapath_type(std::string_view bridge) {
  check("Open vSwitch bridge", bridge);
  auto type = answer(run({"get", "Bridge", bridge, "datapath_type"}));
  std::erase(type, '"');
  return type.empty() ? "system" : type;
}

void ovs_add_port(std::string_view bridge, std::string_view port, std::string_view instance) {
  check("Open vSwitch bridge", bridge);
  check("port", port);
  check("instance", instance);
  const auto mark = mark_of(instance);
  auto said = run({"--may-exist", "add-port", bridge, port, "--", "set", "Interface", port, mark});
  // Written, but the switch cannot do it: no such interface, or one that it may not open. The status is 0.
  if (said.status == 0 && !said.errors.empty()) {
    ovs_delete_port(port);
    throw_refused(said);
  }
  answer(std::move(said));
}

void ovs_delete_port(std::string_view port) {
  check("port", port);
  answer(run({"--if-exists", "del-port", port}));
}

std::optional<std::string> ovs_bridge_of(std::string_view port) {
  check("port", port);
  auto said = run({"port-to-br", port});
  // It has no status of its own for "no such port"; without a database it says another thing.
  if (said.status == other_failure && said.errors.find("no port named") != std::string::npos) return std::nullopt;
  return answer(std::move(said));
}

std::optional<std::vector<std::string>> ovs_ports(std::string_view bridge) {
  check("Open vSwitch bridge", bridge);
  auto said = run({"list-ports", bridge});
  if (said.status == other_failure && said.errors.find("no bridge named") != std::string::npos) return std::nullopt;
  return lines_of(answer(std::move(said)));
}

std::vector<std::string> ovs_marked_ports(std::string_view instance) {
  check("instance", instance);
  const auto mark = mark_of(instance);
  auto ports = lines_of(answer(run({"--bare", "--columns=name", "find", "Interface", mark})));
  std::sort(ports.begin(), ports.end());
  return ports;
}

}  // namespace lanloom::os
