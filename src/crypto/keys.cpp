// SPDX-License-Identifier: Apache-2.0
#include <lanloom/crypto/keys.hpp>
#include <lanloom/crypto/random.hpp>

#include <sodium.h>

#include <stdexcept>

namespace lanloom::crypto {
namespace {

constexpr std::size_t text_size = 44;

// libsodium refuses other alphabets, white space, missing or surplus padding, and bits left over that are not zero; but
// 1.0.18 takes bytes from 0x80 up for a slash where char is signed.
[[nodiscard]] bool decode(std::string_view text, std::span<std::uint8_t, 32> out) noexcept {
  const bytes_view raw = as_bytes(text);
  if (raw.size() != text_size || std::any_of(raw.begin(), raw.end(), [](std::uint8_t c) { return c >= 0x80; })) {
    return false;
  }
  std::size_t decoded = 0;
  return sodium_base642bin(out.data(), out.size(), text.data(), text.size(), nullptr, &decoded, nullptr,
                           sodium_base64_VARIANT_ORIGINAL) == 0 &&
         decoded == out.size();
}

[[nodiscard]] std::string encode(std::span<const std::uint8_t, 32> bytes) {
  std::string text(text_size + 1, '\0');  // libsodium writes a terminator
  sodium_bin2base64(text.data(), text.size(), bytes.data(), bytes.size(), sodium_base64_VARIANT_ORIGINAL);
  text.resize(text_size);
  return text;
}

}  // namespace

void wipe(bytes_span memory) noexcept { sodium_memzero(memory.data(), memory.size()); }

std::optional<public_key> public_key::parse(std::string_view base64) {
  public_key key;
  if (!decode(base64, key.bytes)) return std::nullopt;
  return key;
}

std::string to_base64(const public_key& key) { return encode(key.bytes); }

std::optional<secret<32>> parse_secret(std::string_view base64) {
  std::optional<secret<32>> key(std::in_place);
  if (!decode(base64, key->writable())) key.reset();
  return key;
}

std::string to_base64(const secret<32>& key) { return encode(key.view()); }

key_pair make_key_pair(random& source) noexcept {
  key_pair pair;
  source.fill(pair.secret_half.writable());
  pair.public_half = derive_public(pair.secret_half);
  return pair;
}

public_key derive_public(const private_key& key) noexcept {
  public_key result;
  crypto_scalarmult_curve25519_base(result.bytes.data(), key.view().data());
  return result;
}

bool diffie_hellman(const private_key& own, const public_key& theirs, secret<32>& shared) noexcept {
  const auto out = shared.writable();
  if (crypto_scalarmult_curve25519(out.data(), own.view().data(), theirs.bytes.data()) == 0) return true;
  wipe(out);
  return false;
}

void initialise() {
  if (sodium_init() < 0) throw std::runtime_error("libsodium does not initialise");
}

}  // namespace lanloom::crypto
