// SPDX-License-Identifier: Apache-2.0
// xchacha.hpp - XChaCha20-Poly1305: an AEAD whose nonce is long enough to be drawn at random. For cookie replies only.
//
// Neither allocates nor throws. Sizes are the program's own and asserted.
#pragma once

#include <lanloom/base/bytes.hpp>
#include <lanloom/crypto/keys.hpp>

#include <span>

namespace lanloom::crypto {

using xchacha_nonce = std::span<const std::uint8_t, 24>;

// sealed.size() == plain.size() + 16; they do not overlap.
void seal_xchacha(const secret<32>& key, xchacha_nonce nonce, bytes_view associated, bytes_view plain,
                  bytes_span sealed) noexcept;
// False when it is not authentic; `plain` is then unspecified. sealed.size() == plain.size() + 16.
[[nodiscard]] bool open_xchacha(const secret<32>& key, xchacha_nonce nonce, bytes_view associated, bytes_view sealed,
                                bytes_span plain) noexcept;

}  // namespace lanloom::crypto
