// SPDX-License-Identifier: Apache-2.0
#include <lanloom/app/offloads.hpp>

namespace lanloom::app {

namespace {

bool chosen(offload_choice choice, bool found) {
  switch (choice) {
    case offload_choice::automatic:
      return found;
    case offload_choice::on:
      return true;
    case offload_choice::off:
      return false;
  }
  return false;
}

}  // namespace

crypto::accelerator accelerator_by(offload_choice wanted) noexcept {
  switch (wanted) {
    case offload_choice::automatic:
      return crypto::accelerator::automatic;
    case offload_choice::on:
      return crypto::accelerator::on;
    case offload_choice::off:
      return crypto::accelerator::off;
  }
  return crypto::accelerator::automatic;
}

offload_setup choose_offloads(const offload_config& wanted, const os::kernel_offloads& found) {
  offload_setup out;
  const bool any = wanted.tap_gso != offload_choice::off;
  const bool udp = any && wanted.tap_uso != offload_choice::off;
  // What the kernel hands to us is for tap::set_offloads to find out.
  out.from_tap = {any, any, any, udp};
  out.to_tap.checksum = chosen(wanted.tap_gso, found.tap.checksum);
  out.to_tap.tcp4 = chosen(wanted.tap_gso, found.tap.tcp4);
  out.to_tap.tcp6 = chosen(wanted.tap_gso, found.tap.tcp6);
  out.to_tap.udp = udp && chosen(wanted.tap_uso, found.tap.udp);
  out.udp_gso = chosen(wanted.udp_gso, found.udp_gso);
  out.udp_gro = chosen(wanted.udp_gro, found.udp_gro);
  return out;
}

std::vector<std::string> missing_offloads(const offload_config& wanted, const os::kernel_offloads& found) {
  std::vector<std::string> out;
  const auto add = [&out](const char* name, offload_choice choice, bool there) {
    if (choice == offload_choice::automatic && !there) out.emplace_back(name);
  };
  add("checksum", wanted.tap_gso, found.tap.checksum);
  add("tso4", wanted.tap_gso, found.tap.tcp4);
  add("tso6", wanted.tap_gso, found.tap.tcp6);
  if (wanted.tap_gso != offload_choice::off) add("uso", wanted.tap_uso, found.tap.udp);
  add("udp_gso", wanted.udp_gso, found.udp_gso);
  add("udp_gro", wanted.udp_gro, found.udp_gro);
  return out;
}

std::vector<std::string> names_of_tap_offloads(const offload_setup& used) {
  std::vector<std::string> out;
  if (used.from_tap.checksum && used.to_tap.checksum) out.emplace_back("checksum");
  if (used.from_tap.tcp4 && used.to_tap.takes(gso_kind::tcp4)) out.emplace_back("tso4");
  if (used.from_tap.tcp6 && used.to_tap.takes(gso_kind::tcp6)) out.emplace_back("tso6");
  if (used.from_tap.udp && used.to_tap.takes(gso_kind::udp)) out.emplace_back("uso");
  return out;
}

std::vector<std::string> names_of_udp_offloads(const offload_setup& used) {
  std::vector<std::string> out;
  if (used.udp_gso) out.emplace_back("gso");
  if (used.udp_gro) out.emplace_back("gro");
  return out;
}

}  // namespace lanloom::app
