// SPDX-License-Identifier: Apache-2.0
#include "vectors.hpp"

#include <lanloom/crypto/hash.hpp>

#include <doctest/doctest.h>

namespace lanloom::crypto {
namespace {

using namespace test;

[[nodiscard]] bytes hash_of(std::initializer_list<bytes_view> parts, bytes_view key = {}, std::size_t size = 64) {
  bytes out(size);
  blake2b(out, parts, key);
  return out;
}

TEST_CASE("BLAKE2b: RFC 7693 and the reference's known answers") {
  const auto file = vectors("blake2b.json");
  CHECK(hash_of({unhex(file["rfc7693_abc"]["in"])}) == unhex(file["rfc7693_abc"]["out"]));
  int cases = 0;
  for (const auto& v : file["blake2b"]) {
    const bytes in = unhex(v["in"]), key = unhex(v["key"]), out = unhex(v["out"]);
    CHECK(hash_of({in}, key) == out);
    const bytes_view whole(in);
    const std::size_t half = in.size() / 2;
    CHECK(hash_of({whole.first(half), {}, whole.subspan(half)}, key) == out);
    ++cases;
  }
  CHECK(cases == 52);
}

TEST_CASE("BLAKE2b: the size of the result is part of it, and the result may replace a part") {
  const bytes in = counting(64);
  const bytes shortened = hash_of({in}, {}, 16), full = hash_of({in});
  CHECK(shortened != bytes(full.begin(), full.begin() + 16));
  // python: hashlib.blake2b(bytes(range(64)), digest_size=16).hexdigest()
  CHECK(shortened == unhex("59059895958b8a56277edb046df67166"));
  bytes in_place = in;
  blake2b(in_place, {in_place, in});
  CHECK(in_place == hash_of({in, in}));
}

TEST_CASE("HMAC-BLAKE2b") {
  int cases = 0;
  const auto file = vectors("blake2b.json");
  for (const auto& v : file["hmac_blake2b"]) {
    const bytes key = unhex(v["key"]), message = unhex(v["msg"]);
    const bytes_view whole(message);
    std::array<std::uint8_t, 64> out;
    hmac_blake2b(out, key, {whole.first(message.size() / 3), whole.subspan(message.size() / 3)});
    CHECK(copy_of(out) == unhex(v["mac"]));
    ++cases;
  }
  CHECK(cases == 7);
}

TEST_CASE("HMAC-BLAKE2b: the result may replace the key") {
  std::array<std::uint8_t, 64> key{}, out;
  key[0] = 1;
  hmac_blake2b(out, key, {counting(5)});
  hmac_blake2b(key, key, {counting(5)});
  CHECK(key == out);
}

TEST_CASE("equality") {
  const bytes a = counting(16);
  bytes b = a;
  CHECK(equal(a, b));
  CHECK(equal({}, {}));
  CHECK_FALSE(equal(a, bytes_view(b).first(15)));
  CHECK_FALSE(equal(a, {}));
  for (std::size_t i = 0; i < b.size(); ++i) {
    b[i] ^= 0x80;
    CHECK_FALSE(equal(a, b));
    b[i] ^= 0x80;
  }
}

}  // namespace
}  // namespace lanloom::crypto
