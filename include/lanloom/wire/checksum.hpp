// SPDX-License-Identifier: Apache-2.0
// checksum.hpp - the internet checksum (RFC 1071).
//
// Sums do not care about byte order as long as the words that are added and the word that is stored agree (RFC 1071,
// 2B). Here words are little-endian, which spares the swap on the machines this runs on: store results with store_le16.
#pragma once

#include <lanloom/base/bytes.hpp>

namespace lanloom::wire {

// The ones' complement sum of `bytes` (an odd last byte is padded) and of `start`, folded, not complemented.
[[nodiscard]] std::uint16_t ones_complement_sum(bytes_view bytes, std::uint16_t start = 0) noexcept;

// Finishes a partial checksum: sums frame[start, end) and stores the complement at start + offset; a result of zero is
// stored as 0xFFFF for UDP's sake. False when the positions do not lie in the frame.
[[nodiscard]] bool complete_checksum(bytes_span frame, std::size_t start, std::size_t offset) noexcept;

}  // namespace lanloom::wire
