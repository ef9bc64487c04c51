// SPDX-License-Identifier: Apache-2.0
// keys.hpp - key material as types that cannot leak by accident, and X25519.
//
// A `secret` is wiped when it dies, moves but does not copy, and has no comparison, formatter or operator<<: a log line
// that names one does not compile. clone() is the one visible way to a second copy. Public keys are plain values.
// Text form is base64 of 32 bytes, as wg(8) writes it: 44 characters.
#pragma once

#include <lanloom/base/bytes.hpp>

#include <algorithm>
#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace lanloom::crypto {

class random;

// Overwrites memory in a way the compiler keeps.
void wipe(bytes_span memory) noexcept;

template <std::size_t N>
class secret {
 public:
  secret() noexcept = default;  // all zero
  explicit secret(std::span<const std::uint8_t, N> bytes) noexcept {
    std::copy(bytes.begin(), bytes.end(), bytes_.begin());
  }
  secret(secret&& other) noexcept : bytes_(other.bytes_) { wipe(other.bytes_); }
  secret& operator=(secret&& other) noexcept {
    if (this != &other) {
      bytes_ = other.bytes_;
      wipe(other.bytes_);
    }
    return *this;
  }
  secret(const secret&) = delete;
  secret& operator=(const secret&) = delete;
  ~secret() { wipe(bytes_); }

  [[nodiscard]] secret clone() const noexcept { return secret(std::span<const std::uint8_t, N>(bytes_)); }
  [[nodiscard]] std::span<const std::uint8_t, N> view() const noexcept { return bytes_; }
  [[nodiscard]] std::span<std::uint8_t, N> writable() noexcept { return bytes_; }

 private:
  std::array<std::uint8_t, N> bytes_{};
};

// X25519 public key. Order is memcmp's.
struct public_key {
  std::array<std::uint8_t, 32> bytes{};
  auto operator<=>(const public_key&) const = default;
  [[nodiscard]] static std::optional<public_key> parse(std::string_view base64);
};
[[nodiscard]] std::string to_base64(const public_key& key);

using private_key = secret<32>;

struct key_pair {
  private_key secret_half;
  public_key public_half;

  [[nodiscard]] key_pair clone() const noexcept { return {secret_half.clone(), public_half}; }
};

// Exactly 44 characters of base64 that decode to 32 bytes; nothing otherwise. For private keys, preshared keys and
// network secrets alike.
[[nodiscard]] std::optional<secret<32>> parse_secret(std::string_view base64);
// For the key generating commands only. The caller owns the text and wipes it.
[[nodiscard]] std::string to_base64(const secret<32>& key);

[[nodiscard]] key_pair make_key_pair(random& source) noexcept;
[[nodiscard]] public_key derive_public(const private_key& key) noexcept;

// X25519. False when the result is all zero (low-order point): the handshake must abort, and `shared` is zero.
[[nodiscard]] bool diffie_hellman(const private_key& own, const public_key& theirs, secret<32>& shared) noexcept;

// Initialises libsodium; must precede every other call of this module. Throws std::runtime_error when that fails.
void initialise();

}  // namespace lanloom::crypto
