// SPDX-License-Identifier: Apache-2.0
#include "../../src/crypto/cipher.hpp"

#include "vectors.hpp"

#include <doctest/doctest.h>

#include <iostream>
#include <memory>
#include <new>

namespace lanloom::crypto {
namespace {

using namespace test;

struct outcome {
  int accepted = 0;
  int refused = 0;
  int other_nonce_size = 0;
};

// One published case, out of place and in place; a case marked valid must also be what sealing gives.
void run(const nlohmann::json& v, crypto::suite s, const gcm_engine& engine, outcome& counts) {
  CAPTURE(v["tcId"].get<int>());
  const bytes iv = unhex(v["iv"]), associated = unhex(v["aad"]), plain = unhex(v["msg"]);
  const bytes sealed = unhex(v["ct"]) + unhex(v["tag"]);
  cipher::nonce nonce;
  if (iv.size() != nonce.size()) {
    ++counts.other_nonce_size;
    return;
  }
  std::copy(iv.begin(), iv.end(), nonce.begin());
  const cipher with(s, secret_of(unhex(v["key"])), engine);
  const bool valid = v["result"] == "valid";

  bytes opened(plain.size());
  CHECK(with.open(nonce, associated, sealed, opened.data()) == valid);
  bytes in_place = sealed;
  CHECK(with.open(nonce, associated, in_place, in_place.data()) == valid);
  bytes made(sealed.size());
  with.seal(nonce, associated, plain, made.data());
  CHECK((made == sealed) == valid);
  if (valid) {
    CHECK(opened == plain);
    in_place.resize(plain.size());
    CHECK(in_place == plain);
  }
  ++(valid ? counts.accepted : counts.refused);
}

[[nodiscard]] outcome run_file(const std::string& name, crypto::suite s, const gcm_engine& engine = {}) {
  outcome counts;
  const auto file = vectors(name);
  for (const auto& group : file["testGroups"]) {
    for (const auto& v : group["tests"]) run(v, s, engine, counts);
  }
  return counts;
}

TEST_CASE("ChaCha20-Poly1305: RFC 8439 section 2.8.2") {
  const auto v = vectors("chacha20poly1305_ietf.json")["tests"].at(0);
  cipher::nonce nonce;
  const bytes iv = unhex(v["nonce"]);
  REQUIRE(iv.size() == nonce.size());
  std::copy(iv.begin(), iv.end(), nonce.begin());
  const bytes plain = unhex(v["msg"]), associated = unhex(v["aad"]);
  const cipher with(suite::chacha20_poly1305, secret_of(unhex(v["key"])));
  bytes sealed(plain.size() + tag_size);
  with.seal(nonce, associated, plain, sealed.data());
  CHECK(sealed == unhex(v["ct"]) + unhex(v["tag"]));
  CHECK(with.open(nonce, associated, sealed, sealed.data()));
  sealed.resize(plain.size());
  CHECK(sealed == plain);
}

TEST_CASE("ChaCha20-Poly1305: wycheproof") {
  const outcome counts = run_file("wycheproof_chacha20_poly1305_test.json", suite::chacha20_poly1305);
  CHECK(counts.accepted == 256);
  CHECK(counts.refused == 60);
  CHECK(counts.other_nonce_size == 9);
}

TEST_CASE("AES-256-GCM: wycheproof") {
  if (!available(suite::aes_256_gcm)) {
    std::cout << "skip AES-256-GCM wycheproof: this processor has no AES instructions\n";
    return;
  }
  const auto all_cases = [](const gcm_engine& engine) {
    const outcome counts = run_file("wycheproof_aes_gcm_test.json", suite::aes_256_gcm, engine);
    CHECK(counts.accepted == 39);
    CHECK(counts.refused == 27);
    CHECK(counts.other_nonce_size == 0);
  };
  all_cases({});
  const gcm_engine fast = gcm_engine::choose(accelerator::on);
  if (fast.accelerated()) all_cases(fast);
}

TEST_CASE("the nonce of a counter is four zero bytes and the counter, least byte first") {
  CHECK(cipher::nonce_of(0) == cipher::nonce{});
  CHECK(cipher::nonce_of(0x0102030405060708) == cipher::nonce{0, 0, 0, 0, 8, 7, 6, 5, 4, 3, 2, 1});
}

TEST_CASE("a key's memory is wiped") {
  const auto leaves_nothing = [](crypto::suite s, const gcm_engine& engine) {
    // Padding and the kind of the schedule may stay; nothing that was different before may.
    alignas(cipher) std::array<std::uint8_t, sizeof(cipher)> memory{};
    auto* key = new (memory.data()) cipher(s, secret_of(counting(32, 1)), engine);
    const auto changed = [&memory] {
      return std::count_if(memory.begin(), memory.end(), [](std::uint8_t byte) { return byte != 0; });
    };
    CHECK(changed() >= 32);
    std::destroy_at(key);
    CHECK(changed() <= 1);
  };
  leaves_nothing(suite::chacha20_poly1305, {});
  if (available(suite::aes_256_gcm)) leaves_nothing(suite::aes_256_gcm, {});
  if (const gcm_engine fast = gcm_engine::choose(accelerator::on); fast.accelerated()) {
    leaves_nothing(suite::aes_256_gcm, fast);
  }
}

}  // namespace
}  // namespace lanloom::crypto
