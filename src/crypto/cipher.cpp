// SPDX-License-Identifier: Apache-2.0
#include "cipher.hpp"

#include <cassert>

namespace lanloom::crypto {

[[gnu::hot]] cipher::nonce cipher::nonce_of(std::uint64_t counter) noexcept {
  nonce n{};
  store_le64(n.data() + 4, counter);
  return n;
}

cipher::cipher(crypto::suite s, const secret<32>& key, const gcm_engine& engine) noexcept {
  assert(available(s));
  switch (s) {
    case crypto::suite::chacha20_poly1305:
      schedule_.emplace<chacha>(key);
      break;
    case crypto::suite::aes_256_gcm:
      if (engine.accelerated()) {
        schedule_.emplace<accelerated_gcm>(key, engine.entry());
      } else {
        schedule_.emplace<sodium_gcm>(key);
      }
      break;
  }
}

crypto::suite cipher::suite() const noexcept {
  return std::holds_alternative<chacha>(schedule_) ? crypto::suite::chacha20_poly1305 : crypto::suite::aes_256_gcm;
}

[[gnu::hot]] void cipher::seal(const nonce& n, bytes_view associated, bytes_view plain,
                               std::uint8_t* sealed) const noexcept {
  if (const auto* fast = std::get_if<accelerated_gcm>(&schedule_)) return fast->seal(n, associated, plain, sealed);
  if (const auto* aes = std::get_if<sodium_gcm>(&schedule_)) return aes->seal(n, associated, plain, sealed);
  std::get_if<chacha>(&schedule_)->seal(n, associated, plain, sealed);
}

[[gnu::hot]] bool cipher::open(const nonce& n, bytes_view associated, bytes_view sealed,
                               std::uint8_t* plain) const noexcept {
  if (sealed.size() < tag_size) return false;
  if (const auto* fast = std::get_if<accelerated_gcm>(&schedule_)) return fast->open(n, associated, sealed, plain);
  if (const auto* aes = std::get_if<sodium_gcm>(&schedule_)) return aes->open(n, associated, sealed, plain);
  return std::get_if<chacha>(&schedule_)->open(n, associated, sealed, plain);
}

// ---- ChaCha20-Poly1305

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

// ---- AES-256-GCM by libsodium

cipher::sodium_gcm::sodium_gcm(const secret<32>& key) noexcept {
  crypto_aead_aes256gcm_beforenm(&state_, key.view().data());
}

cipher::sodium_gcm::~sodium_gcm() { sodium_memzero(&state_, sizeof state_); }

void cipher::sodium_gcm::seal(const nonce& n, bytes_view associated, bytes_view plain,
                              std::uint8_t* sealed) const noexcept {
  crypto_aead_aes256gcm_encrypt_afternm(sealed, nullptr, plain.data(), plain.size(), associated.data(),
                                        associated.size(), nullptr, n.data(), &state_);
}

bool cipher::sodium_gcm::open(const nonce& n, bytes_view associated, bytes_view sealed,
                              std::uint8_t* plain) const noexcept {
  return crypto_aead_aes256gcm_decrypt_afternm(plain, nullptr, nullptr, sealed.data(), sealed.size(), associated.data(),
                                               associated.size(), n.data(), &state_) == 0;
}

// ---- AES-256-GCM by libipsec-mb

namespace {
struct alignas(gcm_alignment) gcm_context {
  std::uint8_t memory[gcm_context_room];  // filled by each call, so nothing is cleared here
  [[nodiscard]] gcm_context_data* data() noexcept { return reinterpret_cast<gcm_context_data*>(memory); }
};
}  // namespace

cipher::accelerated_gcm::accelerated_gcm(const secret<32>& key, const gcm_engine::calls& entry) noexcept
    : entry_(entry) {
  entry_.expand(key.view().data(), reinterpret_cast<gcm_key_data*>(memory_.data()));
}

cipher::accelerated_gcm::~accelerated_gcm() {
  wipe(memory_);
  sodium_memzero(&entry_, sizeof entry_);
}

[[gnu::hot]] const gcm_key_data* cipher::accelerated_gcm::schedule() const noexcept {
  return reinterpret_cast<const gcm_key_data*>(memory_.data());
}

[[gnu::hot]] void cipher::accelerated_gcm::seal(const nonce& n, bytes_view associated, bytes_view plain,
                                                std::uint8_t* sealed) const noexcept {
  gcm_context context;
  entry_.seal(schedule(), context.data(), sealed, plain.data(), plain.size(), n.data(), associated.data(),
              associated.size(), sealed + plain.size(), tag_size);
}

[[gnu::hot]] bool cipher::accelerated_gcm::open(const nonce& n, bytes_view associated, bytes_view sealed,
                                                std::uint8_t* plain) const noexcept {
  // It decrypts and computes the tag in one pass; comparing, in constant time, is left to us.
  gcm_context context;
  std::array<std::uint8_t, tag_size> tag;
  const std::size_t size = sealed.size() - tag_size;
  entry_.open(schedule(), context.data(), plain, sealed.data(), size, n.data(), associated.data(), associated.size(),
              tag.data(), tag_size);
  if (crypto_verify_16(tag.data(), sealed.data() + size) == 0) return true;
  sodium_memzero(plain, size);  // it is decrypted already, but nobody vouches for it
  return false;
}

}  // namespace lanloom::crypto
