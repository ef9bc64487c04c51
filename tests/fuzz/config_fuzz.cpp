// SPDX-License-Identifier: Apache-2.0
// config_fuzz.cpp - any bytes as a configuration file: parsed or refused with sentences, never a crash.
//
// What is accepted keeps the promises that the host set-up builds on: names fit the kernel's and every problem names a
// place. Seeds: corpus/config.
#include <lanloom/app/config.hpp>

#include <cstdint>
#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace lanloom::app;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto fits = [](const std::string& name) { return !name.empty() && name.size() <= 15; };
  try {
    const auto c = parse_config(text, "lan.toml", "alpha");
    if (!fits(c.tap.name) || !fits(c.bridge.name) || c.node.private_key.empty()) std::abort();
    for (const auto& n : c.netns) {
      if (!fits(n.interface) || !fits(n.host_interface) || n.name.empty()) std::abort();
    }
  } catch (const config_error& e) {
    if (e.problems.empty()) std::abort();
    for (const auto& p : e.problems) {
      if (p.line == 0 || p.column == 0 || p.message.empty()) std::abort();
    }
  }
  return 0;
}
