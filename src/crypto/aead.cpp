// SPDX-License-Identifier: Apache-2.0
#include <lanloom/crypto/aead.hpp>

#include "cipher.hpp"

namespace lanloom::crypto {

bool available(suite s) noexcept {
  switch (s) {
    case suite::chacha20_poly1305:
      return true;
    case suite::aes_256_gcm:
      return crypto_aead_aes256gcm_is_available() == 1;
  }
  return false;
}

std::string_view to_string(suite s) noexcept {
  switch (s) {
    case suite::chacha20_poly1305:
      return "chacha20-poly1305 (libsodium)";
    case suite::aes_256_gcm:
      return "aes-256-gcm (libsodium)";
  }
  return "unknown";
}

aead_key::aead_key(crypto::suite s, const secret<32>& key) : cipher_(std::make_unique<cipher>(s, key)) {}
aead_key::aead_key(aead_key&&) noexcept = default;
aead_key& aead_key::operator=(aead_key&&) noexcept = default;
aead_key::~aead_key() = default;

bool aead_key::open(std::uint64_t counter, bytes_view associated, bytes_span sealed) const noexcept {
  return cipher_->open(cipher::nonce_of(counter), associated, sealed, sealed.data());
}

crypto::suite aead_key::suite() const noexcept { return cipher_->suite(); }

void aead_key::seal_train(std::size_t count, next_message next, void* context) const noexcept {
  for (std::size_t k = 0; k < count; ++k) {
    const message m = next(context, k);
    cipher_->seal(cipher::nonce_of(m.counter), m.associated, m.plain, m.sealed);
  }
}

}  // namespace lanloom::crypto
