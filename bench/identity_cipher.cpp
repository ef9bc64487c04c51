// SPDX-License-Identifier: Apache-2.0
// identity_cipher.cpp - AES-256-GCM that does not encrypt, to measure what encryption costs. NEVER part of the product.
//
// Linked as an object in front of liblanloom_crypto.a: it defines all of src/crypto/cipher.cpp and gcm_engine.cpp, so
// the linker takes neither of them. Handshakes keep their ChaCha20-Poly1305; only data under AES-256-GCM goes in clear,
// with a tag of zeros that nobody looks at. Such a program talks to its like only, and carries the sentence below,
// which tests/netns/secrecy_test.sh looks for in the product.
#include "../src/crypto/cipher.hpp"

#include <cassert>
#include <cstring>

namespace lanloom::crypto {

extern const char identity_cipher_notice[];
[[gnu::used]] const char identity_cipher_notice[] = "lanloom bench: this program does not encrypt";

cipher::nonce cipher::nonce_of(std::uint64_t counter) noexcept {
  nonce n{};
  store_le64(n.data() + 4, counter);
  return n;
}

cipher::cipher(crypto::suite s, const secret<32>& key, const gcm_engine&) noexcept {
  if (s == crypto::suite::chacha20_poly1305) {
    schedule_.emplace<chacha>(key);
  } else {
    schedule_.emplace<sodium_gcm>(key);
  }
}

crypto::suite cipher::suite() const noexcept {
  return std::holds_alternative<chacha>(schedule_) ? crypto::suite::chacha20_poly1305 : crypto::suite::aes_256_gcm;
}

void cipher::seal(const nonce& n, bytes_view associated, bytes_view plain, std::uint8_t* sealed) const noexcept {
  if (const auto* real = std::get_if<chacha>(&schedule_)) return real->seal(n, associated, plain, sealed);
  if (!plain.empty()) std::memcpy(sealed, plain.data(), plain.size());
  std::memset(sealed + plain.size(), 0, tag_size);
}

bool cipher::open(const nonce& n, bytes_view associated, bytes_view sealed, std::uint8_t* plain) const noexcept {
  if (sealed.size() < tag_size) return false;
  if (const auto* real = std::get_if<chacha>(&schedule_)) return real->open(n, associated, sealed, plain);
  if (plain != sealed.data()) std::memmove(plain, sealed.data(), sealed.size() - tag_size);
  return true;
}

void cipher::chacha::seal(const nonce& n, bytes_view associated, bytes_view plain,
                          std::uint8_t* sealed) const noexcept {
  crypto_aead_chacha20poly1305_ietf_encrypt(sealed, nullptr, plain.data(), plain.size(), associated.data(),
                                            associated.size(), nullptr, n.data(), key_.view().data());
}

bool cipher::chacha::open(const nonce& n, bytes_view associated, bytes_view sealed,
                          std::uint8_t* plain) const noexcept {
  return crypto_aead_chacha20poly1305_ietf_decrypt(plain, nullptr, nullptr, sealed.data(), sealed.size(),
                                                   associated.data(), associated.size(), n.data(),
                                                   key_.view().data()) == 0;
}

cipher::sodium_gcm::sodium_gcm(const secret<32>&) noexcept : state_{} {}
cipher::sodium_gcm::~sodium_gcm() = default;
cipher::accelerated_gcm::~accelerated_gcm() = default;

gcm_engine gcm_engine::choose(accelerator) { return {}; }

}  // namespace lanloom::crypto
