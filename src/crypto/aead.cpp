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

aead_key::aead_key(crypto::suite s, const secret<32>& key, const gcm_engine& engine)
    : cipher_(std::make_unique<cipher>(s, key, engine)) {}
aead_key::aead_key(aead_key&&) noexcept = default;
aead_key& aead_key::operator=(aead_key&&) noexcept = default;
aead_key::~aead_key() = default;

[[gnu::hot]] bool aead_key::open(std::uint64_t counter, bytes_view associated, bytes_span sealed) const noexcept {
  return cipher_->open(cipher::nonce_of(counter), associated, sealed, sealed.data());
}

crypto::suite aead_key::suite() const noexcept { return cipher_->suite(); }

std::string_view aead_key::name() const noexcept {
  switch (cipher_->suite()) {
    case crypto::suite::chacha20_poly1305:
      return "chacha20-poly1305 (libsodium)";
    case crypto::suite::aes_256_gcm:
      return cipher_->accelerated() ? "aes-256-gcm (ipsec-mb)" : "aes-256-gcm (libsodium)";
  }
  return "unknown";
}

[[gnu::hot]] void aead_key::seal_train(std::size_t count, next_message next, void* context) const noexcept {
  for (std::size_t k = 0; k < count; ++k) {
    const message m = next(context, k);
    cipher_->seal(cipher::nonce_of(m.counter), m.associated, m.plain, m.sealed);
  }
}

}  // namespace lanloom::crypto
