// SPDX-License-Identifier: Apache-2.0
#include <lanloom/crypto/aead.hpp>

#include "../../src/crypto/cipher.hpp"
#include "vectors.hpp"

#include <doctest/doctest.h>

#include <string>
#include <type_traits>

namespace lanloom::crypto {
namespace {

using namespace test;

static_assert(!std::is_copy_constructible_v<aead_key> && !std::is_copy_assignable_v<aead_key>);
static_assert(std::is_nothrow_move_constructible_v<aead_key> && std::is_nothrow_move_assignable_v<aead_key>);

// body(make), where make(key) is an aead_key: for each suite and each engine that there is.
template <class Body>
void for_each_cipher(Body body) {
  const gcm_engine fast = gcm_engine::choose(accelerator::on);
  const auto try_with = [&body](crypto::suite s, const gcm_engine& engine) {
    CAPTURE(aead_key(s, secret_of(counting(32))).name());
    CAPTURE(engine.accelerated());
    body([s, &engine](const secret<32>& key) { return aead_key(s, key, engine); });
  };
  try_with(suite::chacha20_poly1305, {});
  if (available(suite::aes_256_gcm)) try_with(suite::aes_256_gcm, {});
  if (fast.accelerated()) try_with(suite::aes_256_gcm, fast);
}

[[nodiscard]] bytes seal_one(const aead_key& key, std::uint64_t counter, bytes_view associated, bytes_view plain) {
  bytes sealed(plain.size() + tag_size);
  key.seal(1, [&](std::size_t) noexcept { return aead_key::message{counter, associated, plain, sealed.data()}; });
  return sealed;
}

TEST_CASE("a key names its suite and what computes it; the suite that needs no hardware is there") {
  const auto named = [](crypto::suite s, const gcm_engine& engine = {}) {
    return std::string(aead_key(s, secret_of(counting(32)), engine).name());
  };
  const gcm_engine fast = gcm_engine::choose(accelerator::on);
  REQUIRE(available(suite::chacha20_poly1305));
  CHECK(named(suite::chacha20_poly1305) == "chacha20-poly1305 (libsodium)");
  CHECK(named(suite::chacha20_poly1305, fast) == "chacha20-poly1305 (libsodium)");
  if (!available(suite::aes_256_gcm)) return;
  CHECK(named(suite::aes_256_gcm) == "aes-256-gcm (libsodium)");
  if (fast.accelerated()) CHECK(named(suite::aes_256_gcm, fast) == "aes-256-gcm (ipsec-mb)");
}

TEST_CASE("data is sealed with the nonce of its counter, and opens") {
  for_each_cipher([](const auto& make) {
    const secret<32> raw = secret_of(counting(32, 9));
    const aead_key key = make(raw);
    const cipher reference(key.suite(), raw);
    const bytes associated = counting(16, 100);
    for (const std::size_t size : std::initializer_list<std::size_t>{0, 1, 15, 16, 17, 63, 64, 65, 1400, 1436, 9000}) {
      for (const std::uint64_t counter : {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{0x0807060504030201}}) {
        const bytes plain = counting(size);
        bytes sealed = seal_one(key, counter, associated, plain);
        bytes expected(size + tag_size);
        cipher::nonce nonce{};
        store_le64(nonce.data() + 4, counter);
        reference.seal(nonce, associated, plain, expected.data());
        CHECK(sealed == expected);
        CHECK(key.open(counter, associated, sealed));
        sealed.resize(size);
        CHECK(sealed == plain);
      }
    }
  });
}

TEST_CASE("a train is its messages sealed one by one, though each overwrites the one before") {
  for_each_cipher([](const auto& make) {
    constexpr std::size_t segments = 45, segment = 1400, header = 70, first_counter = 1000;
    const aead_key key = make(secret_of(counting(32, 9)));
    const bytes payload = counting(segments * segment);
    const auto header_of = [](std::size_t k) { return counting(header, static_cast<std::uint8_t>(k)); };

    // As the lane does it: the header of segment k is stamped in front of payload k, over the tail of payload k-1.
    bytes slot = bytes(header) + payload;
    std::vector<bytes> associated, sealed(segments, bytes(header + segment + tag_size));
    for (std::size_t k = 0; k < segments; ++k) associated.push_back(counting(16, static_cast<std::uint8_t>(3 * k)));
    const auto next = [&](std::size_t k) noexcept {
      const bytes stamp = header_of(k);
      std::copy(stamp.begin(), stamp.end(), slot.begin() + static_cast<std::ptrdiff_t>(k * segment));
      return aead_key::message{first_counter + k, associated[k],
                               bytes_view(slot).subspan(k * segment, header + segment), sealed[k].data()};
    };
    key.seal(segments, next);

    for (std::size_t k = 0; k < segments; ++k) {
      const auto from = payload.begin() + static_cast<std::ptrdiff_t>(k * segment);
      const bytes plain = header_of(k) + bytes(from, from + segment);
      CHECK(sealed[k] == seal_one(key, first_counter + k, associated[k], plain));
      CHECK(key.open(first_counter + k, associated[k], sealed[k]));
      sealed[k].resize(plain.size());
      CHECK(sealed[k] == plain);
    }
  });
}

TEST_CASE("messages are asked for in order, each once; none for an empty train") {
  const aead_key key(suite::chacha20_poly1305, secret_of(counting(32)));
  std::vector<std::size_t> asked;
  bytes sealed(tag_size);
  const auto next = [&](std::size_t k) noexcept {
    asked.push_back(k);
    return aead_key::message{k, {}, {}, sealed.data()};
  };
  key.seal(0, next);
  CHECK(asked.empty());
  key.seal(3, next);
  CHECK(asked == std::vector<std::size_t>{0, 1, 2});
}

TEST_CASE("anything altered, cut or lengthened does not open") {
  for_each_cipher([](const auto& make) {
    const aead_key key = make(secret_of(counting(32, 9)));
    const bytes associated = counting(16), plain = counting(50);
    const bytes sealed = seal_one(key, 7, associated, plain);
    const auto opens = [&key](std::uint64_t counter, bytes_view ad, bytes text) { return key.open(counter, ad, text); };
    REQUIRE(opens(7, associated, sealed));

    for (std::size_t bit = 0; bit < sealed.size() * 8; ++bit) {
      bytes altered = sealed;
      altered[bit / 8] = static_cast<std::uint8_t>(altered[bit / 8] ^ (1U << bit % 8));
      CHECK_FALSE(opens(7, associated, altered));
    }
    for (std::size_t bit = 0; bit < associated.size() * 8; ++bit) {
      bytes altered = associated;
      altered[bit / 8] = static_cast<std::uint8_t>(altered[bit / 8] ^ (1U << bit % 8));
      CHECK_FALSE(opens(7, altered, sealed));
    }
    for (std::size_t bit = 0; bit < 64; ++bit) CHECK_FALSE(opens(7 ^ (std::uint64_t{1} << bit), associated, sealed));
    for (std::size_t size = 0; size < sealed.size(); ++size) {
      CHECK_FALSE(opens(7, associated, bytes(sealed.begin(), sealed.begin() + static_cast<std::ptrdiff_t>(size))));
    }
    for (std::size_t more = 1; more <= 32; ++more) CHECK_FALSE(opens(7, associated, sealed + bytes(more)));
    CHECK_FALSE(key.open(7, associated, {}));
    CHECK_FALSE(opens(7, bytes_view(associated).first(15), sealed));
    CHECK_FALSE(opens(7, {}, sealed));
  });
}

TEST_CASE("another key or suite does not open, a moved key does") {
  for_each_cipher([](const auto& make) {
    const bytes plain = counting(20);
    aead_key key = make(secret_of(counting(32, 9)));
    const bytes sealed = seal_one(key, 1, {}, plain);
    const aead_key other = make(secret_of(counting(32, 10)));
    bytes text = sealed;
    CHECK_FALSE(other.open(1, {}, text));

    const crypto::suite another = key.suite() == suite::aes_256_gcm ? suite::chacha20_poly1305 : suite::aes_256_gcm;
    if (available(another)) {
      text = sealed;
      CHECK_FALSE(aead_key(another, secret_of(counting(32, 9))).open(1, {}, text));
    }

    aead_key moved(std::move(key));
    text = sealed;
    CHECK(moved.open(1, {}, text));
    key = std::move(moved);
    text = sealed;
    CHECK(key.open(1, {}, text));
  });
}

}  // namespace
}  // namespace lanloom::crypto
