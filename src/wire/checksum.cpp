// SPDX-License-Identifier: Apache-2.0
#include <lanloom/wire/checksum.hpp>

namespace lanloom::wire {

std::uint16_t ones_complement_sum(bytes_view bytes, std::uint16_t start) noexcept {
  std::uint64_t sum = start;
  while (bytes.size() >= 8) {
    const std::uint64_t words = load_le64(bytes.data());
    sum += (words & 0xffffffffU) + (words >> 32U);
    bytes = bytes.subspan(8);
  }
  while (bytes.size() >= 2) {
    sum += load_le16(bytes.data());
    bytes = bytes.subspan(2);
  }
  if (!bytes.empty()) sum += bytes[0];
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16U);
  return static_cast<std::uint16_t>(sum);
}

bool complete_checksum(bytes_span frame, std::size_t start, std::size_t offset) noexcept {
  if (start > frame.size() || offset > frame.size() - start) return false;
  const bytes_view covered = frame.subspan(start);
  if (covered.size() - offset < 2) return false;
  const auto sum = static_cast<std::uint16_t>(~ones_complement_sum(covered));
  store_le16(&frame[start + offset], sum == 0 ? std::uint16_t{0xffff} : sum);
  return true;
}

}  // namespace lanloom::wire
