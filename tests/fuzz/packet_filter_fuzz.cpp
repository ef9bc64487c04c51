// SPDX-License-Identifier: Apache-2.0
// packet_filter_fuzz.cpp - any bytes as what nft or iptables print: judged or refused, never a crash, and soon.
//
// Seeds: corpus/packet_filter.
#include <lanloom/app/packet_filter.hpp>

#include <cstdint>
#include <cstdlib>
#include <stdexcept>

namespace {
using namespace lanloom;
using namespace lanloom::app;

void ask(const packet_filter& f) {
  packet_kind p;
  p.in = p.out = "br-lan";
  p.source = ip_prefix::parse("10.5.0.0/16");
  p.protocol = "udp";
  p.port = 4780;
  for (int way = 0; way < 8; ++way) {
    p.v6 = (way & 1) != 0;
    p.bridged = (way & 2) != 0;
    p.at_ports = (way & 4) != 0;
    for (const auto hook : {filter_hook::input, filter_hook::forward}) {
      const auto found = f.blocks(hook, p);
      if (found && to_string(*found).empty()) std::abort();
    }
  }
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  packet_filter f;
  try {
    f.add_nft(text);
  } catch (const std::runtime_error&) {
  }
  try {
    f.add_iptables(text, "iptables", false);
  } catch (const std::runtime_error&) {
  }
  ask(f);
  return 0;
}
