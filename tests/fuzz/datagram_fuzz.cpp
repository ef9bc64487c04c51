// SPDX-License-Identifier: Apache-2.0
// datagram_fuzz.cpp - whatever arrives on the socket: classify, and the views of the type it finds.
#include <lanloom/wire/datagram.hpp>

#include <algorithm>
#include <cstdlib>
#include <vector>

using namespace lanloom;
using namespace lanloom::wire;

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

bool equal(bytes_view a, bytes_view b) { return std::equal(a.begin(), a.end(), b.begin(), b.end()); }

void check_initiation(bytes_view d) {
  const auto v = parse_initiation(d);
  require(v.sealed_payload.size() >= payload_1_size + tag_size);
  require(v.sealed_payload.size() <= payload_1_size + max_tlv_bytes + tag_size);
  require(v.before_mac1.size() + mac_size == v.before_mac2.size() && v.before_mac2.size() + mac_size == d.size());
  require(v.mac2.data() + mac_size == d.data() + d.size());
  if (d.size() != initiation_size) return;
  std::vector<std::uint8_t> again(initiation_size);
  const auto layout = format_initiation(again, v.sender_index);
  std::copy(v.ephemeral.begin(), v.ephemeral.end(), layout.ephemeral.begin());
  std::copy(v.sealed_static.begin(), v.sealed_static.end(), layout.sealed_static.begin());
  std::copy(v.sealed_payload.begin(), v.sealed_payload.end(), layout.sealed_payload.begin());
  std::copy(v.mac1.begin(), v.mac1.end(), layout.mac1.begin());
  std::copy(v.mac2.begin(), v.mac2.end(), again.end() - mac_size);
  require(equal(again, d));
}

void check_response(bytes_view d) {
  const auto v = parse_response(d);
  require(v.sealed_payload.size() >= payload_2_size + tag_size);
  require(v.sealed_payload.size() <= payload_2_size + max_tlv_bytes + tag_size);
  require(v.before_mac1.size() + mac_size == v.before_mac2.size() && v.before_mac2.size() + mac_size == d.size());
  if (d.size() != response_size) return;
  std::vector<std::uint8_t> again(response_size);
  const auto layout = format_response(again, v.sender_index, v.receiver_index);
  std::copy(v.ephemeral.begin(), v.ephemeral.end(), layout.ephemeral.begin());
  std::copy(v.sealed_payload.begin(), v.sealed_payload.end(), layout.sealed_payload.begin());
  std::copy(v.mac1.begin(), v.mac1.end(), layout.mac1.begin());
  std::copy(v.mac2.begin(), v.mac2.end(), again.end() - mac_size);
  require(equal(again, d));
}

void check_data(bytes_view d) {
  std::vector<std::uint8_t> copy(d.begin(), d.end());
  const auto v = parse_data(copy);
  require(v.sealed.size() >= tag_size && v.header.size() + v.sealed.size() == d.size());
  std::array<std::uint8_t, data_header_size> header{};
  format_data_header(header, v.receiver_index, v.counter);
  require(equal(header, v.header));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* input, std::size_t size) {
  const bytes_view d(input, size);
  const auto type = classify(d);
  if (!type) return 0;
  require(d[0] == static_cast<std::uint8_t>(*type));
  switch (*type) {
    case message_type::initiation:
      check_initiation(d);
      break;
    case message_type::response:
      check_response(d);
      break;
    case message_type::cookie_reply:
      require(size == cookie_reply_size);
      break;
    case message_type::data:
      check_data(d);
      break;
  }
  return 0;
}
