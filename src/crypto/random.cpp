// SPDX-License-Identifier: Apache-2.0
#include <lanloom/crypto/keys.hpp>
#include <lanloom/crypto/random.hpp>

#include <sodium.h>

#include <cassert>

namespace lanloom::crypto {

random::random(std::uint64_t seed) noexcept : seed_(seed) {}

void random::fill(bytes_span out) noexcept {
  if (out.empty()) return;  // may be a null pointer
  if (!seed_) {
    randombytes_buf(out.data(), out.size());
    return;
  }
  // Every draw has a stream of its own: seed || number of the draw || zeros.
  std::array<std::uint8_t, randombytes_SEEDBYTES> stream{};
  static_assert(randombytes_SEEDBYTES >= 16);
  store_le64(stream.data(), *seed_);
  store_le64(stream.data() + 8, draws_++);
  randombytes_buf_deterministic(out.data(), out.size(), stream.data());
  wipe(stream);
}

std::uint32_t random::u32() noexcept {
  std::array<std::uint8_t, 4> bytes;
  fill(bytes);
  return load_le32(bytes.data());
}

std::uint64_t random::u64() noexcept {
  std::array<std::uint8_t, 8> bytes;
  fill(bytes);
  return load_le64(bytes.data());
}

std::uint32_t random::below(std::uint32_t bound) noexcept {
  assert(bound > 0);
  // 2^32 mod bound values at the low end are refused, so that every remainder is equally likely.
  const std::uint32_t refused = (0U - bound) % bound;
  std::uint32_t drawn = u32();
  while (drawn < refused) drawn = u32();
  return drawn % bound;
}

}  // namespace lanloom::crypto
