// SPDX-License-Identifier: Apache-2.0
// cipher.hpp - one AEAD key with its expanded schedule and an explicit nonce; private to the module.
//
// aead_key (data) and symmetric_state (handshake) both seal and open through it, each with a nonce made of a counter.
// The memory is wiped on destruction; it does not copy or move, so it stays aligned for the AES schedule.
#pragma once

#include <lanloom/base/bytes.hpp>
#include <lanloom/crypto/aead.hpp>
#include <lanloom/crypto/keys.hpp>

#include <sodium.h>

#include <array>
#include <cstdint>

namespace lanloom::crypto {

class cipher {
 public:
  using nonce = std::array<std::uint8_t, 12>;

  // 4 zero bytes || LE64(counter).
  [[nodiscard]] static nonce nonce_of(std::uint64_t counter) noexcept;

  cipher(crypto::suite s, const secret<32>& key) noexcept;  // REQUIRES available(s)
  cipher(const cipher&) = delete;
  cipher& operator=(const cipher&) = delete;
  ~cipher();

  // Writes plain.size() + tag_size bytes, which do not overlap `plain`.
  void seal(const nonce& n, bytes_view associated, bytes_view plain, std::uint8_t* sealed) const noexcept;
  // Writes sealed.size() - tag_size bytes; `plain` may be sealed.data(). False, also when there is no room for a tag.
  [[nodiscard]] bool open(const nonce& n, bytes_view associated, bytes_view sealed, std::uint8_t* plain) const noexcept;

  [[nodiscard]] crypto::suite suite() const noexcept { return suite_; }

 private:
  crypto_aead_aes256gcm_state aes_;  // filled for AES-256-GCM only
  secret<32> key_;                   // ChaCha20-Poly1305 only
  crypto::suite suite_;
};

}  // namespace lanloom::crypto
