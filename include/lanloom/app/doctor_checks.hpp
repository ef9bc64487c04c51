// SPDX-License-Identifier: Apache-2.0
// doctor_checks.hpp - the checks of doctor, by subject, and what they share: one examination of one host.
//
// 1. A check is a function that looks at an examination and adds its findings. What several checks need (links, status,
//    firewall rules) is asked for once.
// 2. What judges without asking the kernel stands by itself (judge_...), so that tests show it both verdicts.
// 3. A cure that is ours (fix_...) decides anew what is to be done, and says what it did, a sentence for each.
// 4. Other programs have three seconds each and six together. Who does not answer in time is an error, and not taken
//    for one that has nothing to say: of rules that were read by half the cures would be wrong.
// Process and errors: doctor.hpp. A check may throw std::exception.
#pragma once

#include <lanloom/app/doctor.hpp>
#include <lanloom/app/packet_filter.hpp>
#include <lanloom/base/clock.hpp>
#include <lanloom/os/netlink.hpp>
#include <lanloom/os/offload_probe.hpp>
#include <lanloom/os/program.hpp>
#include <lanloom/os/sandbox.hpp>

#include <nlohmann/json.hpp>

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace lanloom::app {

using findings = std::vector<finding>;

class examination {
 public:
  static constexpr std::chrono::milliseconds patience{3000};

  // `c`: nothing when only the host is looked at; borrowed.
  examination(const config* c, occasion when);

  [[nodiscard]] const config& file() const { return *config_; }  // REQUIRES has_file
  [[nodiscard]] bool has_file() const noexcept { return config_ != nullptr; }
  [[nodiscard]] occasion when() const noexcept { return when_; }
  // What the running instance says of itself; null when it does not run, or may not be asked (see status_refusal).
  [[nodiscard]] const nlohmann::json& status() const noexcept { return status_; }
  [[nodiscard]] const std::string& status_refusal() const noexcept { return status_refusal_; }
  [[nodiscard]] const std::vector<os::link>& links() const noexcept { return links_; }
  [[nodiscard]] const os::link* link(std::string_view name) const noexcept;
  // Bridge and TAP are there, and the TAP is ours.
  [[nodiscard]] bool is_up() const noexcept;
  // Made by the instance, or by `attach` for it.
  [[nodiscard]] bool is_ours(const os::link& l) const;
  // Interfaces that the instance makes here, now or later: TAP, host ends of veth pairs, the bridge unless it joins
  // one.
  [[nodiscard]] std::vector<std::string> own_interfaces() const;
  // Out of which this host's default routes lead, each once.
  [[nodiscard]] std::vector<std::string> uplinks() const;
  // The host's rules; nothing when this caller may not read them. Throws, each time, when a program did not tell them.
  [[nodiscard]] const packet_filter* firewall();

  // A program's answer; nothing when it is not installed. Throws std::system_error when it does not answer in time.
  [[nodiscard]] std::optional<os::program_result> run(const std::string& name,
                                                      const std::vector<std::string>& arguments,
                                                      std::chrono::milliseconds at_most = patience);

 private:
  void ask_status();

  const config* config_;
  occasion when_;
  std::vector<os::link> links_;
  nlohmann::json status_;
  std::string status_refusal_;
  std::unique_ptr<packet_filter> firewall_;
  bool firewall_read_ = false;
  std::string firewall_refusal_;
  std::chrono::steady_clock::time_point programs_until_;
};

// examination::run, or what a test has in its place.
using program_runner = std::function<std::optional<os::program_result>(
    const std::string& name, const std::vector<std::string>& arguments, std::chrono::milliseconds at_most)>;

// The rules of nft and of both kinds of iptables; nothing when nft refuses. `has_older` says whether the older iptables
// has a filter table of that family (v6?). Throws when a program that has rules does not tell them.
[[nodiscard]] std::unique_ptr<packet_filter> read_firewall(const program_runner& ask,
                                                           const std::function<bool(bool v6)>& has_older);

[[nodiscard]] finding pass(std::string check, std::string what);
[[nodiscard]] finding warn(std::string check, std::string what, std::string cure, bool fixable = false);
[[nodiscard]] finding fail(std::string check, std::string what, std::string cure, bool fixable = false);

// doctor_kernel.cpp
[[nodiscard]] findings check_tun(examination& e);
[[nodiscard]] findings check_capabilities(examination& e);
[[nodiscard]] findings check_node_user(examination& e);
[[nodiscard]] findings check_nft(examination& e);
[[nodiscard]] findings check_offloads(examination& e);
[[nodiscard]] findings check_cipher(examination& e);
[[nodiscard]] findings check_clock(examination& e);
[[nodiscard]] findings judge_offloads(const std::optional<os::kernel_offloads>& found);
[[nodiscard]] finding judge_node_user(const os::sandbox_identity& identity);
[[nodiscard]] finding judge_nft(const std::string& version, bool needed);  // empty: not installed
[[nodiscard]] finding judge_cipher(cipher_choice choice, offload_choice accelerator, bool has_aes);
[[nodiscard]] finding judge_clock(wall_time now);

// doctor_firewall.cpp
[[nodiscard]] findings check_bridged_forwards(examination& e);
[[nodiscard]] findings check_routed_forwards(examination& e);
[[nodiscard]] findings check_udp_port(examination& e);
[[nodiscard]] findings check_firewall_programs(examination& e);
std::vector<std::string> fix_forwards(examination& e);

// doctor_network.cpp
[[nodiscard]] findings check_ip_forward(examination& e);
[[nodiscard]] findings check_rp_filter(examination& e);
[[nodiscard]] findings check_bridge_mtu(examination& e);
[[nodiscard]] findings check_duplicate_mac(examination& e);
[[nodiscard]] findings check_duplicate_address(examination& e);
std::vector<std::string> fix_rp_filter(examination& e);
std::vector<std::string> fix_bridge_mtu(examination& e);

// doctor_uplinks.cpp
[[nodiscard]] findings check_uplink_rules(examination& e);

// doctor_programs.cpp
[[nodiscard]] findings check_network_manager(examination& e);
[[nodiscard]] findings check_networkd(examination& e);
std::vector<std::string> fix_network_manager(examination& e);

// doctor_peers.cpp
[[nodiscard]] findings check_peers(examination& e);
[[nodiscard]] findings check_peer_mtu(examination& e);
// `routed`: whether this host has a route to an endpoint.
[[nodiscard]] findings judge_peers(const nlohmann::json& status, const config& c,
                                   const std::function<bool(const endpoint&)>& routed);

}  // namespace lanloom::app
