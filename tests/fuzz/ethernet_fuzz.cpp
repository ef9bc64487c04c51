// SPDX-License-Identifier: Apache-2.0
// ethernet_fuzz.cpp - frames, loop probes, and checksum positions anywhere: four bytes of the input say start and
// offset.
#include <lanloom/wire/checksum.hpp>
#include <lanloom/wire/ethernet.hpp>
#include <lanloom/wire/probe.hpp>

#include <algorithm>
#include <cstdlib>
#include <vector>

using namespace lanloom;
using namespace lanloom::wire;

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

void check_header(bytes_view frame) {
  const auto h = parse_ethernet(frame);
  require(h.has_value() == (frame.size() >= 14));
  if (!h) return;
  require(std::equal(h->destination.bytes.begin(), h->destination.bytes.end(), frame.begin()));
  require(std::equal(h->source.bytes.begin(), h->source.bytes.end(), frame.begin() + 6));
  require(h->vlan <= 0x0fff);
  require(h->vlan == 0 || frame.size() >= 18);
}

// What is a probe says nothing but what its fields say.
void check_probe(bytes_view frame) {
  const auto probe = parse_probe(frame);
  if (!probe) return;
  require(frame.size() >= probe_size);
  mac_address source;
  std::copy_n(frame.begin() + 6, 6, source.bytes.begin());
  std::array<std::uint8_t, probe_size> again;
  format_probe(again, source, *probe);
  require(std::equal(again.begin() + 6, again.end(), frame.begin() + 6));
  require(parse_probe(again) == probe);
}

void check_sum(bytes_view frame, std::size_t start, std::size_t offset) {
  std::vector<std::uint8_t> done(frame.begin(), frame.end());
  if (!complete_checksum(done, start, offset)) {
    require(std::equal(done.begin(), done.end(), frame.begin(), frame.end()));
    require(start + offset + 2 > frame.size());
    return;
  }
  require(start + offset + 2 <= frame.size());
  const std::size_t field = start + offset;
  require(std::equal(frame.begin(), frame.begin() + static_cast<std::ptrdiff_t>(field), done.begin()));
  require(std::equal(frame.begin() + static_cast<std::ptrdiff_t>(field + 2), frame.end(),
                     done.begin() + static_cast<std::ptrdiff_t>(field + 2)));
  std::uint32_t sum = 0;
  for (std::size_t i = start; i < frame.size(); ++i) {
    sum += (i - start) % 2 == 0 ? static_cast<std::uint32_t>(frame[i]) << 8U : frame[i];
    sum = (sum & 0xffffU) + (sum >> 16U);
  }
  const std::uint32_t expected = sum == 0xffff ? 0xffff : ~sum & 0xffffU;
  require(load_be16(&done[field]) == expected);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* input, std::size_t size) {
  const bytes_view frame(input, size);
  check_header(frame);
  check_probe(frame);
  check_sum(frame, 0, 0);
  if (size < 4) return 0;
  check_sum(frame.subspan(4), load_le16(input), load_le16(input + 2));
  return 0;
}
