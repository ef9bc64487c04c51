// SPDX-License-Identifier: Apache-2.0
#include "vectors.hpp"

#include <lanloom/crypto/keys.hpp>
#include <lanloom/crypto/random.hpp>

#include <doctest/doctest.h>

#include <concepts>
#include <memory>
#include <new>
#include <ostream>
#include <type_traits>

namespace lanloom::crypto {
namespace {

using namespace test;

template <class Type>
concept printable = requires(std::ostream& to, const Type& value) {
  to << value;
};

static_assert(printable<int>);
static_assert(!printable<secret<32>> && !printable<secret<64>> && !printable<key_pair>);
static_assert(!std::equality_comparable<secret<32>>);
static_assert(!std::is_copy_constructible_v<secret<32>> && !std::is_copy_assignable_v<secret<32>>);
static_assert(!std::is_copy_constructible_v<key_pair> && !std::is_copy_assignable_v<key_pair>);
static_assert(std::is_nothrow_move_constructible_v<key_pair> && std::is_nothrow_move_assignable_v<key_pair>);
static_assert(!std::is_convertible_v<secret<32>, bytes_view> && !std::is_convertible_v<secret<32>, std::string_view>);

[[nodiscard]] bool all_zero(bytes_view memory) {
  return std::all_of(memory.begin(), memory.end(), [](std::uint8_t byte) { return byte == 0; });
}

TEST_CASE("a secret is wiped when it dies and when it is moved from") {
  const bytes key = counting(32, 1);
  alignas(secret<32>) std::array<std::uint8_t, sizeof(secret<32>)> memory;
  memory.fill(0xff);
  auto* first = new (memory.data()) secret<32>(std::span<const std::uint8_t, 32>(key.data(), 32));
  CHECK(copy_of(first->view()) == key);

  secret<32> second(std::move(*first));
  CHECK(all_zero(memory));
  CHECK(copy_of(second.view()) == key);

  *first = std::move(second);
  CHECK(all_zero(second.view()));  // NOLINT: what a moved-from secret holds is the point
  CHECK(copy_of(first->view()) == key);

  const secret<32> third = first->clone();
  CHECK(copy_of(first->view()) == key);
  CHECK(copy_of(third.view()) == key);

  std::destroy_at(first);
  CHECK(all_zero(memory));
}

TEST_CASE("moving a secret onto itself keeps it") {
  secret<32> key = secret_of(counting(32, 1));
  secret<32>& same = key;
  key = std::move(same);
  CHECK(copy_of(key.view()) == counting(32, 1));
}

TEST_CASE("X25519: RFC 7748 section 5.2") {
  const auto file = vectors("x25519_rfc7748.json");
  REQUIRE(file["vectors"].size() == 2);
  for (const auto& v : file["vectors"]) {
    secret<32> shared;
    CHECK(diffie_hellman(secret_of(unhex(v["scalar"])), public_of(unhex(v["u"])), shared));
    CHECK(copy_of(shared.view()) == unhex(v["out"]));
  }

  bytes k = unhex(file["iterated"]["start"]), u = k;
  for (int i = 1; i <= 1000; ++i) {
    secret<32> shared;
    REQUIRE(diffie_hellman(secret_of(k), public_of(u), shared));
    u = k;
    k = copy_of(shared.view());
    if (i == 1) CHECK(k == unhex(file["iterated"]["after"]["1"]));
  }
  CHECK(k == unhex(file["iterated"]["after"]["1000"]));
}

TEST_CASE("X25519: wycheproof, low-order points refused") {
  int equal_results = 0, refused = 0;
  const auto file = vectors("wycheproof_x25519_test.json");
  for (const auto& group : file["testGroups"]) {
    for (const auto& v : group["tests"]) {
      CAPTURE(v["tcId"].get<int>());
      secret<32> shared = secret_of(bytes(32, 0xff));
      if (diffie_hellman(secret_of(unhex(v["private"])), public_of(unhex(v["public"])), shared)) {
        CHECK(copy_of(shared.view()) == unhex(v["shared"]));
        ++equal_results;
      } else {
        CHECK(all_zero(unhex(v["shared"])));
        CHECK(all_zero(shared.view()));
        ++refused;
      }
    }
  }
  CHECK(equal_results == 487);
  CHECK(refused == 31);
}

TEST_CASE("key pairs agree") {
  random source(1);
  const key_pair a = make_key_pair(source), b = make_key_pair(source);
  CHECK(a.public_half != b.public_half);
  CHECK(derive_public(a.secret_half) == a.public_half);
  secret<32> from_a, from_b;
  REQUIRE(diffie_hellman(a.secret_half, b.public_half, from_a));
  REQUIRE(diffie_hellman(b.secret_half, a.public_half, from_b));
  CHECK(copy_of(from_a.view()) == copy_of(from_b.view()));
  CHECK_FALSE(all_zero(from_a.view()));

  const key_pair again = a.clone();
  CHECK(again.public_half == a.public_half);
  CHECK(copy_of(again.secret_half.view()) == copy_of(a.secret_half.view()));
}

TEST_CASE("public keys compare as memcmp does") {
  public_key low, high;
  low.bytes[31] = 0xff;
  high.bytes[0] = 1;
  CHECK(low < high);
  low.bytes[0] = 0x80;
  CHECK(high < low);
}

TEST_CASE("base64 text of 32 bytes and back") {
  const bytes raw = counting(32);
  const std::string text = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
  CHECK(to_base64(public_of(raw)) == text);
  CHECK(to_base64(secret_of(raw)) == text);
  REQUIRE(public_key::parse(text));
  CHECK(*public_key::parse(text) == public_of(raw));
  REQUIRE(parse_secret(text));
  CHECK(copy_of(parse_secret(text)->view()) == raw);

  random source(2);
  for (int i = 0; i < 100; ++i) {
    const key_pair pair = make_key_pair(source);
    REQUIRE(public_key::parse(to_base64(pair.public_half)));
    CHECK(*public_key::parse(to_base64(pair.public_half)) == pair.public_half);
  }
}

TEST_CASE("base64 that is not exactly 44 canonical characters of 32 bytes is refused") {
  const std::string good = "//////////////////////////////////////////8=";  // 32 bytes 0xff
  REQUIRE(parse_secret(good));
  std::vector<std::string> bad = {
      "",
      good.substr(0, 43),                           // padding missing
      good + "=",                                   // too much of it
      good + "\n",                                  // 45 characters
      " " + good.substr(0, 43),                     // white space, 44 characters
      good.substr(0, 20) + "\n" + good.substr(21),  // inside
      good.substr(0, 43) + "\n",                    // in the place of padding
      good.substr(0, 43) + "A",                     // 33 bytes
      good.substr(0, 42) + "==",                    // 31 bytes, leftover bits set
      std::string(42, 'A') + "==",                  // 31 bytes, canonical
      good.substr(0, 41) + "===",                   //
      "=" + good.substr(1),                         // padding at the start
      "________________________________________"
      "__8=",                                          // url-safe alphabet
      "------------------------------------------8=",  //
      good.substr(0, 43) + std::string(1, '\0'),       //
      std::string(1, '\0') + good.substr(1),           //
      good.substr(0, 20) + "\x80" + good.substr(21),   //
      std::string(4096, 'A'),
  };
  // Of the last character before the padding two bits are not used and must be zero: of four spellings one is right.
  for (const char last : {'9', '+', '/'}) bad.push_back(good.substr(0, 42) + last + "=");
  for (const std::string& text : bad) {
    CAPTURE(text);
    CHECK_FALSE(parse_secret(text));
    CHECK_FALSE(public_key::parse(text));
  }
}

TEST_CASE("base64: of all bytes in all places only the alphabet is taken") {
  const std::string alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (std::size_t place = 0; place < 43; ++place) {
    int taken = 0;
    for (int byte = 0; byte < 256; ++byte) {
      std::string text = std::string(43, 'A') + "=";
      text[place] = static_cast<char>(byte);
      const auto key = parse_secret(text);
      if (!key) continue;
      ++taken;
      CHECK(alphabet.find(text[place]) != std::string::npos);
      CHECK(to_base64(*key) == text);
    }
    CHECK(taken == (place == 42 ? 16 : 64));
  }
}

}  // namespace
}  // namespace lanloom::crypto
