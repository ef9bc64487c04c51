// SPDX-License-Identifier: Apache-2.0
#include "cipher.hpp"

#include <cassert>

namespace lanloom::crypto {

cipher::nonce cipher::nonce_of(std::uint64_t counter) noexcept {
  nonce n{};
  store_le64(n.data() + 4, counter);
  return n;
}

cipher::cipher(crypto::suite s, const secret<32>& key) noexcept : suite_(s) {
  assert(available(s));
  switch (s) {
    case crypto::suite::chacha20_poly1305:
      key_ = key.clone();
      break;
    case crypto::suite::aes_256_gcm:
      crypto_aead_aes256gcm_beforenm(&aes_, key.view().data());
      break;
  }
}

cipher::~cipher() { sodium_memzero(&aes_, sizeof aes_); }

void cipher::seal(const nonce& n, bytes_view associated, bytes_view plain, std::uint8_t* sealed) const noexcept {
  switch (suite_) {
    case crypto::suite::chacha20_poly1305:
      crypto_aead_chacha20poly1305_ietf_encrypt(sealed, nullptr, plain.data(), plain.size(), associated.data(),
                                                associated.size(), nullptr, n.data(), key_.view().data());
      break;
    case crypto::suite::aes_256_gcm:
      crypto_aead_aes256gcm_encrypt_afternm(sealed, nullptr, plain.data(), plain.size(), associated.data(),
                                            associated.size(), nullptr, n.data(), &aes_);
      break;
  }
}

bool cipher::open(const nonce& n, bytes_view associated, bytes_view sealed, std::uint8_t* plain) const noexcept {
  if (sealed.size() < tag_size) return false;
  switch (suite_) {
    case crypto::suite::chacha20_poly1305:
      return crypto_aead_chacha20poly1305_ietf_decrypt(plain, nullptr, nullptr, sealed.data(), sealed.size(),
                                                       associated.data(), associated.size(), n.data(),
                                                       key_.view().data()) == 0;
    case crypto::suite::aes_256_gcm:
      return crypto_aead_aes256gcm_decrypt_afternm(plain, nullptr, nullptr, sealed.data(), sealed.size(),
                                                   associated.data(), associated.size(), n.data(), &aes_) == 0;
  }
  return false;
}

}  // namespace lanloom::crypto
