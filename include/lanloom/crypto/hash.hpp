// SPDX-License-Identifier: Apache-2.0
// hash.hpp - BLAKE2b (RFC 7693) plain and keyed, and HMAC-BLAKE2b-512 (RFC 2104, block 128), over several parts.
//
// Neither allocates nor throws. Intermediate state is wiped. Sizes of `out` and `key` are the program's own and
// asserted.
#pragma once

#include <lanloom/base/bytes.hpp>

#include <cstdint>
#include <initializer_list>
#include <span>

namespace lanloom::crypto {

// BLAKE2b of the concatenated parts; out is 16..64 bytes, key 0 or 16..64 bytes. `out` may be one of the parts.
void blake2b(bytes_span out, std::initializer_list<bytes_view> parts, bytes_view key = {}) noexcept;

// HMAC-BLAKE2b-512; key of any size. `out` may be the key or one of the parts.
void hmac_blake2b(std::span<std::uint8_t, 64> out, bytes_view key, std::initializer_list<bytes_view> parts) noexcept;

// Equality in constant time; false when the sizes differ.
[[nodiscard]] bool equal(bytes_view a, bytes_view b) noexcept;

}  // namespace lanloom::crypto
