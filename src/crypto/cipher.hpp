// SPDX-License-Identifier: Apache-2.0
// cipher.hpp - one AEAD key with its expanded schedule and an explicit nonce; private to the module.
//
// aead_key (data) and symmetric_state (handshake) both seal and open through it, each with a nonce made of a counter.
// What it holds is one of three schedules, each of which wipes its memory when it dies; none copies or moves, so they
// stay aligned for the instructions that read them.
#pragma once

#include <lanloom/base/bytes.hpp>
#include <lanloom/crypto/aead.hpp>
#include <lanloom/crypto/keys.hpp>

#include "ipsec_mb.hpp"

#include <sodium.h>

#include <array>
#include <cstdint>
#include <variant>

namespace lanloom::crypto {

class cipher {
 public:
  using nonce = std::array<std::uint8_t, 12>;

  // 4 zero bytes || LE64(counter).
  [[nodiscard]] static nonce nonce_of(std::uint64_t counter) noexcept;

  // REQUIRES available(s)
  cipher(crypto::suite s, const secret<32>& key, const gcm_engine& engine = {}) noexcept;
  cipher(const cipher&) = delete;
  cipher& operator=(const cipher&) = delete;

  // Writes plain.size() + tag_size bytes, which do not overlap `plain`.
  void seal(const nonce& n, bytes_view associated, bytes_view plain, std::uint8_t* sealed) const noexcept;
  // Writes sealed.size() - tag_size bytes; `plain` may be sealed.data(). False, also when there is no room for a tag.
  [[nodiscard]] bool open(const nonce& n, bytes_view associated, bytes_view sealed, std::uint8_t* plain) const noexcept;

  [[nodiscard]] crypto::suite suite() const noexcept;
  [[nodiscard]] bool accelerated() const noexcept { return std::holds_alternative<accelerated_gcm>(schedule_); }

 private:
  // Each seals and opens as cipher does, but has a tag's room to open.
  class chacha {
   public:
    explicit chacha(const secret<32>& key) noexcept : key_(key.clone()) {}
    void seal(const nonce& n, bytes_view associated, bytes_view plain, std::uint8_t* sealed) const noexcept;
    [[nodiscard]] bool open(const nonce& n, bytes_view associated, bytes_view sealed,
                            std::uint8_t* plain) const noexcept;

   private:
    secret<32> key_;
  };

  class sodium_gcm {
   public:
    explicit sodium_gcm(const secret<32>& key) noexcept;
    sodium_gcm(const sodium_gcm&) = delete;
    sodium_gcm& operator=(const sodium_gcm&) = delete;
    ~sodium_gcm();
    void seal(const nonce& n, bytes_view associated, bytes_view plain, std::uint8_t* sealed) const noexcept;
    [[nodiscard]] bool open(const nonce& n, bytes_view associated, bytes_view sealed,
                            std::uint8_t* plain) const noexcept;

   private:
    crypto_aead_aes256gcm_state state_;
  };

  class accelerated_gcm {
   public:
    accelerated_gcm(const secret<32>& key, const gcm_engine::calls& entry) noexcept;
    accelerated_gcm(const accelerated_gcm&) = delete;
    accelerated_gcm& operator=(const accelerated_gcm&) = delete;
    ~accelerated_gcm();
    void seal(const nonce& n, bytes_view associated, bytes_view plain, std::uint8_t* sealed) const noexcept;
    [[nodiscard]] bool open(const nonce& n, bytes_view associated, bytes_view sealed,
                            std::uint8_t* plain) const noexcept;

   private:
    [[nodiscard]] const gcm_key_data* schedule() const noexcept;

    alignas(gcm_alignment) std::array<std::uint8_t, gcm_schedule_room> memory_;
    gcm_engine::calls entry_;
  };

  std::variant<std::monostate, chacha, sodium_gcm, accelerated_gcm> schedule_;  // never monostate
};

}  // namespace lanloom::crypto
