// SPDX-License-Identifier: Apache-2.0
// claim_fuzz.cpp - frames of a hostile LAN, of which doctor asks who claims which address.
//
// The input is one frame. What is claimed stands in it, and what lies behind a neighbour advertisement changes nothing.
#include <lanloom/os/address_probe.hpp>

#include <algorithm>
#include <cstdlib>

using namespace lanloom;
using namespace lanloom::os;

namespace {

constexpr std::size_t arp_size = 14 + 28;
constexpr std::size_t advertisement_size = 14 + 40 + 24;

void require(bool holds) {
  if (!holds) std::abort();
}

bool has(bytes_view frame, std::size_t at, bytes_view wanted) {
  return frame.size() - at >= wanted.size() && std::equal(wanted.begin(), wanted.end(), &frame[at]);
}

void check_arp(bytes_view frame, const address_claim& c) {
  require(frame.size() >= arp_size && load_be16(&frame[12]) == 0x0806);
  const bytes_view address(c.address.bytes);
  const auto is_zero = [](std::uint8_t b) { return b == 0; };
  require(std::all_of(address.begin() + 4, address.end(), is_zero));
  require(has(frame, 28, address.first(4)) || (load_be32(&frame[28]) == 0 && has(frame, 38, address.first(4))));
  require(has(frame, 22, c.mac));
}

void check_advertisement(bytes_view frame, const address_claim& c) {
  require(frame.size() >= advertisement_size && load_be16(&frame[12]) == 0x86dd);
  require(frame[20] == 58 && frame[21] == 255 && frame[54] == 136);
  require(has(frame, 62, c.address.bytes) && has(frame, 6, c.mac));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* input, std::size_t size) {
  const bytes_view frame(input, size);
  const auto claim = claim_in(frame);
  require(claim_in(frame.first(std::min(size, advertisement_size))) == claim);
  if (!claim) return 0;
  claim->address.v6 ? check_advertisement(frame, *claim) : check_arp(frame, *claim);
  require(!claim_in(frame.first((claim->address.v6 ? advertisement_size : arp_size) - 1)));
  return 0;
}
