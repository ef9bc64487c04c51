// SPDX-License-Identifier: Apache-2.0
#include "host_name.hpp"
#include "terminal.hpp"

#include <lanloom/app/commands.hpp>
#include <lanloom/app/control.hpp>
#include <lanloom/app/doctor.hpp>
#include <lanloom/app/doctor_checks.hpp>
#include <lanloom/app/instance_directory.hpp>
#include <lanloom/app/status.hpp>

#include <algorithm>
#include <array>
#include <iostream>
#include <stdexcept>

namespace lanloom::app {

namespace {
// What a check can be asked about.
enum class subject : std::uint8_t {
  host,      // always
  instance,  // needs a configuration
  traffic,   // and a node that has had time to talk; not at the start
};

struct entry {
  const char* name;
  subject about;
  findings (*look)(examination&);
  std::vector<std::string> (*fix)(examination&) = nullptr;
};

constexpr std::array checks{
    entry{"tun-device", subject::host, check_tun},
    entry{"capabilities", subject::host, check_capabilities},
    entry{"node-user", subject::host, check_node_user},
    entry{"nft", subject::host, check_nft},
    entry{"kernel", subject::host, check_offloads},
    entry{"cipher", subject::host, check_cipher},
    entry{"clock", subject::host, check_clock},
    entry{"forward-bridged", subject::instance, check_bridged_forwards, fix_forwards},
    entry{"forward-routed", subject::instance, check_routed_forwards, fix_forwards},
    entry{"ip-forward", subject::instance, check_ip_forward},
    entry{"rp-filter", subject::instance, check_rp_filter, fix_rp_filter},
    entry{"udp-port", subject::instance, check_udp_port},
    entry{"firewalls", subject::host, check_firewall_programs},
    entry{"uplinks", subject::instance, check_uplink_rules},
    entry{"network-manager", subject::instance, check_network_manager, fix_network_manager},
    entry{"networkd", subject::instance, check_networkd},
    entry{"mtu-bridge", subject::instance, check_bridge_mtu, fix_bridge_mtu},
    entry{"mtu-peers", subject::traffic, check_peer_mtu},
    entry{"duplicate-mac", subject::traffic, check_duplicate_mac},
    entry{"duplicate-address", subject::traffic, check_duplicate_address},
    entry{"peers", subject::traffic, check_peers},
};

bool applies(const entry& c, const examination& e) {
  switch (c.about) {
    case subject::host:
      return true;
    case subject::instance:
      return e.has_file();
    case subject::traffic:
      return e.has_file() && e.when() == occasion::asked;
  }
  return false;
}

findings examine(examination& e) {
  findings all;
  for (const auto& c : checks) {
    if (!applies(c, e)) continue;
    try {
      for (auto& f : c.look(e)) all.push_back(std::move(f));
    } catch (const std::exception& error) {
      all.push_back(warn(c.name, std::string("could not look: ") + error.what(), "sudo lanloom doctor"));
    }
  }
  return all;
}

const char* paint(finding::verdict v) {
  switch (v) {
    case finding::verdict::pass:
      return "\033[32m";
    case finding::verdict::warn:
      return "\033[33m";
    case finding::verdict::fail:
      return "\033[31m";
  }
  return "";
}

bool has_failure(const findings& found) {
  return std::any_of(found.begin(), found.end(), [](const finding& f) { return f.result == finding::verdict::fail; });
}

// The only instance that runs here, if there is one.
std::string running_instance() {
  std::vector<std::string> found;
  std::error_code ignored;
  for (const auto& one : std::filesystem::directory_iterator(instance_directory, ignored)) {
    if (one.path().extension() != ".sock") continue;
    if (const auto instance = instance_of(one.path())) found.push_back(*instance);
  }
  if (found.size() > 1) throw usage_error("several instances run here: name one, or its file");
  return found.empty() ? std::string() : found.front();
}
}  // namespace

std::string_view to_string(finding::verdict v) noexcept {
  switch (v) {
    case finding::verdict::pass:
      return "PASS";
    case finding::verdict::warn:
      return "WARN";
    case finding::verdict::fail:
      return "FAIL";
  }
  return "";
}

findings diagnose(const config& c, occasion when) {
  examination e(&c, when);
  return examine(e);
}

findings diagnose_host() {
  examination e(nullptr, occasion::asked);
  return examine(e);
}

std::vector<std::string> apply_cures(const config& c, const findings& found) {
  std::vector<std::string> done;
  std::vector<std::vector<std::string> (*)(examination&)> applied;
  for (const auto& one : checks) {
    const bool wanted =
        std::any_of(found.begin(), found.end(), [&](const finding& f) { return f.fixable && f.check == one.name; });
    if (!wanted || std::find(applied.begin(), applied.end(), one.fix) != applied.end()) continue;
    applied.push_back(one.fix);
    try {
      examination e(&c, occasion::starting);
      for (auto& sentence : one.fix(e)) done.push_back(std::move(sentence));
    } catch (const std::exception& error) {
      done.push_back(std::string(one.name) + ": could not be cured: " + error.what());
    }
  }
  return done;
}

std::vector<std::string> failures(const findings& found) {
  std::vector<std::string> lines;
  for (const auto& f : found) {
    if (f.result == finding::verdict::fail) lines.push_back(printable(f.what + " (cure: " + f.cure + ")"));
  }
  return lines;
}

std::string findings_text(const findings& found, bool colour) {
  std::string text;
  std::array<std::size_t, 3> counts{};
  for (const auto& f : found) {
    ++counts[static_cast<std::size_t>(f.result)];
    const std::string verdict(to_string(f.result));
    std::string name = f.check;
    name.resize(std::max<std::size_t>(name.size(), 17), ' ');
    text += (colour ? paint(f.result) + verdict + "\033[0m" : verdict) + "  " + name + " " + printable(f.what) + "\n";
    if (!f.cure.empty())
      text += std::string(24, ' ') + "cure: " + printable(f.cure) + (f.fixable ? "   (or --fix)" : "") + "\n";
  }
  return text + std::to_string(counts[2]) + " FAIL, " + std::to_string(counts[1]) + " WARN, " +
         std::to_string(counts[0]) + " PASS\n";
}

std::string findings_json(const findings& found) {
  auto all = nlohmann::ordered_json::array();
  for (const auto& f : found) {
    all.push_back({{"check", f.check},
                   {"verdict", to_string(f.result)},
                   {"what", f.what},
                   {"cure", f.cure.empty() ? nlohmann::ordered_json(nullptr) : nlohmann::ordered_json(f.cure)},
                   {"fixable", f.fixable}});
  }
  return all.dump(2, ' ', true) + "\n";
}

int doctor(const std::string& word, const doctor_options& options) {
  const auto meant = word.empty() ? running_instance() : word;
  if (meant.empty() && options.fix) throw usage_error("doctor --fix: name an instance, or its file");
  std::optional<config> c;
  if (!meant.empty()) c = load_config(config_path(meant), host_name());
  auto found = c ? diagnose(*c, occasion::asked) : diagnose_host();
  if (options.fix) {
    const auto done = apply_cures(*c, found);
    for (const auto& sentence : done) std::cerr << c->instance << ": " << sentence << '\n';
    if (done.empty()) std::cerr << c->instance << ": there is nothing that --fix could cure\n";
    if (!done.empty()) found = diagnose(*c, occasion::asked);
  }
  std::cout << (options.json ? findings_json(found) : findings_text(found, colour_wanted())) << std::flush;
  if (!std::cout) throw std::runtime_error("cannot write the result to stdout");
  return has_failure(found) ? 1 : 0;
}

}  // namespace lanloom::app
