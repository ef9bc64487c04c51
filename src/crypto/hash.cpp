// SPDX-License-Identifier: Apache-2.0
#include <lanloom/crypto/hash.hpp>
#include <lanloom/crypto/keys.hpp>

#include <sodium.h>

#include <cassert>

namespace lanloom::crypto {
namespace {

constexpr std::size_t block_size = 128;

// libsodium's streaming state, wiped when it goes: what is hashed here is often a key.
class blake2b_stream {
 public:
  blake2b_stream(std::size_t out_size, bytes_view key) noexcept {
    crypto_generichash_init(&state_, key.empty() ? nullptr : key.data(), key.size(), out_size);
  }
  blake2b_stream(const blake2b_stream&) = delete;
  blake2b_stream& operator=(const blake2b_stream&) = delete;
  ~blake2b_stream() { sodium_memzero(&state_, sizeof state_); }

  void update(bytes_view part) noexcept { crypto_generichash_update(&state_, part.data(), part.size()); }
  void update(std::initializer_list<bytes_view> parts) noexcept {
    for (const bytes_view part : parts) update(part);
  }
  void finish(bytes_span out) noexcept { crypto_generichash_final(&state_, out.data(), out.size()); }

 private:
  crypto_generichash_state state_;
};

}  // namespace

void blake2b(bytes_span out, std::initializer_list<bytes_view> parts, bytes_view key) noexcept {
  assert(out.size() >= crypto_generichash_BYTES_MIN && out.size() <= crypto_generichash_BYTES_MAX);
  assert(key.empty() ||
         (key.size() >= crypto_generichash_KEYBYTES_MIN && key.size() <= crypto_generichash_KEYBYTES_MAX));
  blake2b_stream stream(out.size(), key);
  stream.update(parts);
  stream.finish(out);
}

void hmac_blake2b(std::span<std::uint8_t, 64> out, bytes_view key, std::initializer_list<bytes_view> parts) noexcept {
  secret<block_size> padded_key;
  if (key.size() > block_size) {
    blake2b(padded_key.writable().first<64>(), {key});
  } else {
    std::copy(key.begin(), key.end(), padded_key.writable().begin());
  }
  const auto padded = [&padded_key](std::uint8_t with) {
    secret<block_size> pad = padded_key.clone();
    for (std::uint8_t& byte : pad.writable()) byte = static_cast<std::uint8_t>(byte ^ with);
    return pad;
  };
  secret<64> digest;
  {
    blake2b_stream inner(digest.view().size(), {});
    inner.update(padded(0x36).view());
    inner.update(parts);
    inner.finish(digest.writable());
  }
  blake2b_stream outer(out.size(), {});
  outer.update({padded(0x5c).view(), digest.view()});
  outer.finish(out);
}

bool equal(bytes_view a, bytes_view b) noexcept {
  return a.size() == b.size() && sodium_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace lanloom::crypto
