// SPDX-License-Identifier: Apache-2.0
#include "privileges.hpp"

#include <lanloom/app/control.hpp>
#include <lanloom/app/doctor_checks.hpp>
#include <lanloom/app/plan.hpp>
#include <lanloom/os/sysctl.hpp>
#include <lanloom/os/unique_fd.hpp>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <set>
#include <stdexcept>
#include <system_error>

namespace lanloom::app {

namespace {
using clock = std::chrono::steady_clock;

// Statuses of iptables: another program holds its lock; and, from here on, it was killed.
constexpr int busy = 4;
constexpr int killed = 129;
constexpr std::chrono::milliseconds patience_for_all{6000};

// Whether the older kind of iptables has a filter table in this network namespace. To list one would make it.
bool has_older_table(bool v6) {
  std::ifstream names(v6 ? "/proc/net/ip6_tables_names" : "/proc/net/ip_tables_names");
  for (std::string name; std::getline(names, name);) {
    if (name == "filter") return true;
  }
  return false;
}

bool has_nft_table(const std::string& json, bool v6) {
  const auto tables = nlohmann::json::parse(json, nullptr, false);
  if (!tables.is_object()) return false;
  for (const auto& o : tables.value("nftables", nlohmann::json::array())) {
    const auto t = o.is_object() ? o.value("table", nlohmann::json::object()) : nlohmann::json::object();
    if (t.value("family", "") == (v6 ? "ip6" : "ip") && t.value("name", "") == "filter") return true;
  }
  return false;
}
}  // namespace

finding pass(std::string check, std::string what) {
  return {finding::verdict::pass, std::move(check), std::move(what), {}, false};
}
finding warn(std::string check, std::string what, std::string cure, bool fixable) {
  return {finding::verdict::warn, std::move(check), std::move(what), std::move(cure), fixable};
}
finding fail(std::string check, std::string what, std::string cure, bool fixable) {
  return {finding::verdict::fail, std::move(check), std::move(what), std::move(cure), fixable};
}

examination::examination(const config* c, occasion when)
    : config_(c), when_(when), links_(os::netlink().links()), programs_until_(clock::now() + patience_for_all) {
  if (config_ != nullptr && when_ == occasion::asked) ask_status();
}

void examination::ask_status() {
  try {
    status_ = nlohmann::json::parse(ask(control_path(config_->instance), "/v1/status", std::chrono::seconds(1)));
  } catch (const not_running&) {
  } catch (const std::exception& e) {
    status_refusal_ = e.what();
  }
}

const os::link* examination::link(std::string_view name) const noexcept {
  const auto found = std::find_if(links_.begin(), links_.end(), [&](const auto& l) { return l.name == name; });
  return found == links_.end() ? nullptr : &*found;
}

bool examination::is_up() const noexcept {
  const auto* tap = has_file() ? link(config_->tap.name) : nullptr;
  return tap != nullptr && tap->alias == mark_of(config_->instance) && link(config_->bridge.name) != nullptr;
}

bool examination::is_ours(const os::link& l) const {
  const auto mark = mark_of(config_->instance);
  return l.alias == mark || l.alias.starts_with(mark + ":");
}

std::vector<std::string> examination::own_interfaces() const {
  std::vector<std::string> names{config_->tap.name};
  if (config_->bridge.create) names.push_back(config_->bridge.name);
  for (const auto& n : config_->netns) names.push_back(n.host_interface);
  for (const auto& l : links_) {
    if (is_ours(l) && std::find(names.begin(), names.end(), l.name) == names.end()) names.push_back(l.name);
  }
  return names;
}

std::vector<std::string> examination::uplinks() const {
  std::vector<std::string> names;
  for (const auto& route : os::netlink().default_routes()) {
    for (const auto& l : links_) {
      if (l.index != route.out_index || std::find(names.begin(), names.end(), l.name) != names.end()) continue;
      if (!has_file() || l.name != config_->bridge.name) names.push_back(l.name);
    }
  }
  return names;
}

std::optional<os::program_result> examination::run(const std::string& name, const std::vector<std::string>& arguments,
                                                   std::chrono::milliseconds at_most) {
  if (!os::find_program(name)) return std::nullopt;
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(programs_until_ - clock::now());
  if (left.count() <= 0) os::throw_errno(name + ": other programs took the time that there is for all", ETIMEDOUT);
  return os::run_program(name.c_str(), arguments, {}, std::min(at_most, left));
}

const packet_filter* examination::firewall() {
  if (!firewall_read_) {
    firewall_read_ = true;
    try {
      if (may(capability::net_admin)) {
        firewall_ = read_firewall([this](const auto&... asked) { return run(asked...); }, has_older_table);
      }
    } catch (const std::exception& e) {
      firewall_refusal_ = e.what();
    }
  }
  if (!firewall_refusal_.empty()) throw std::runtime_error(firewall_refusal_);
  return firewall_.get();
}

namespace {
// Sets may be huge, and then too long or too slow. Without their elements a rule that asks for one counts as not met.
std::optional<os::program_result> list_ruleset(const program_runner& ask) {
  try {
    return ask("nft", {"-j", "list", "ruleset"}, examination::patience / 2);
  } catch (const std::system_error& e) {
    if (e.code() != std::errc::message_size && e.code() != std::errc::timed_out) throw;
  }
  return ask("nft", {"-j", "-t", "list", "ruleset"}, examination::patience);
}

// False: it has no such rules, or the table is none that it could have made.
bool add_iptables(const program_runner& ask, const std::string& program, bool v6, packet_filter& rules) {
  const auto said = ask(program, {"-w", "1", "-S"}, examination::patience);
  if (said && (said->status == busy || said->status >= killed)) throw std::runtime_error(program + ": " + said->errors);
  if (!said || said->status != 0) return false;
  rules.add_iptables(said->output, program, v6);
  return true;
}
}  // namespace

// Rules that iptables made are read in iptables' words, all others in nft's: neither program understands all of the
// other's. The older iptables keeps its own tables, which nft does not see.
std::unique_ptr<packet_filter> read_firewall(const program_runner& ask, const std::function<bool(bool)>& has_older) {
  const auto nft = list_ruleset(ask);
  if (nft && nft->status != 0) return nullptr;
  auto rules = std::make_unique<packet_filter>();
  std::set<std::string> told;
  for (const bool v6 : {false, true}) {
    const std::string program = v6 ? "ip6tables" : "iptables";
    const auto version = ask(program, {"--version"}, examination::patience);
    const bool older = version && version->output.find("legacy") != std::string::npos;
    if (has_older(v6)) add_iptables(ask, older ? program : program + "-legacy", v6, *rules);
    if (nft && !has_nft_table(nft->output, v6)) continue;
    if (add_iptables(ask, older ? program + "-nft" : program, v6, *rules)) told.insert(v6 ? "ip6 filter" : "ip filter");
  }
  if (nft) rules->add_nft(nft->output, told);
  return rules;
}

}  // namespace lanloom::app
