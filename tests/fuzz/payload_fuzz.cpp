// SPDX-License-Identifier: Apache-2.0
// payload_fuzz.cpp - both handshake payloads as a peer with valid keys could send them.
#include <lanloom/wire/datagram.hpp>
#include <lanloom/wire/payload.hpp>

#include <algorithm>
#include <cstdlib>

using namespace lanloom;
using namespace lanloom::wire;

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

// What was accepted, written again, is the fixed part that came in, but for L at `length_at`, which is written as 0.
template <std::size_t Size, class Payload>
void check(bytes_view plain, const Payload& payload, std::size_t length_at) {
  require(plain.size() == Size + payload.tlv_bytes && payload.tlv_bytes <= max_tlv_bytes);
  std::array<std::uint8_t, Size> again{};
  format_payload(again, payload);
  require(load_le16(&again[length_at]) == 0);
  store_le16(&again[length_at], payload.tlv_bytes);
  require(std::equal(again.begin(), again.end(), plain.begin()));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* input, std::size_t size) {
  const bytes_view plain(input, size);
  if (const auto p = parse_initiation_payload(plain)) check<payload_1_size>(plain, *p, 24);
  if (const auto p = parse_response_payload(plain)) check<payload_2_size>(plain, *p, 34);
  return 0;
}
