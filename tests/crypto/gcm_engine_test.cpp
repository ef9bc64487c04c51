// SPDX-License-Identifier: Apache-2.0
#include <lanloom/crypto/gcm_engine.hpp>

#include "../../src/crypto/cipher.hpp"
#include "vectors.hpp"

#include <doctest/doctest.h>

#include <iostream>
#include <random>

namespace lanloom::crypto {
namespace {

using namespace test;

#if LANLOOM_HAS_IPSEC_MB
constexpr bool built_with_ipsec_mb = true;
#else
constexpr bool built_with_ipsec_mb = false;
#endif

// The accelerator, or nothing when this build or processor has none; then the test case is one that cannot run.
[[nodiscard]] std::optional<gcm_engine> fast_engine(const char* what) {
  const gcm_engine engine = gcm_engine::choose(accelerator::on);
  CHECK(engine.reason() != "its results are not those of libsodium");
  if (engine.accelerated()) return engine;
  std::cout << "skip " << what << ": " << engine.reason() << "\n";
  return std::nullopt;
}

[[nodiscard]] bytes drawn(std::mt19937_64& source, std::size_t size) {
  bytes out(size);
  for (std::uint8_t& byte : out) byte = static_cast<std::uint8_t>(source());
  return out;
}

TEST_CASE("gcm_engine: without being asked it is libsodium, and it says why") {
  CHECK_FALSE(gcm_engine().accelerated());
  CHECK_FALSE(gcm_engine().reason().empty());
  const gcm_engine off = gcm_engine::choose(accelerator::off);
  CHECK_FALSE(off.accelerated());
  if (available(suite::aes_256_gcm)) CHECK(off.reason() == "it is switched off");
}

TEST_CASE("gcm_engine: a build without the library has libsodium, whatever is wished") {
  for (const accelerator wish : {accelerator::automatic, accelerator::on}) {
    const gcm_engine engine = gcm_engine::choose(wish);
    CHECK(engine.accelerated() == engine.reason().empty());
    if (built_with_ipsec_mb) continue;
    CHECK_FALSE(engine.accelerated());
    if (available(suite::aes_256_gcm)) CHECK(engine.reason() == "this build is without libipsec-mb");
  }
}

TEST_CASE("gcm_engine: what is chosen without being insisted on is also there when insisted on") {
  if (gcm_engine::choose(accelerator::automatic).accelerated()) {
    CHECK(gcm_engine::choose(accelerator::on).accelerated());
  }
}

TEST_CASE("gcm_engine: the same bytes as libsodium at every size, out of place and in place") {
  const auto engine = fast_engine("AES-256-GCM by two engines");
  if (!engine) return;
  std::mt19937_64 source(4);
  const auto compare = [&](std::size_t size) {
    CAPTURE(size);
    const secret<32> key = secret_of(drawn(source, 32));
    const cipher slow(suite::aes_256_gcm, key), fast(suite::aes_256_gcm, key, *engine);
    const cipher::nonce nonce = cipher::nonce_of(source());
    const bytes plain = drawn(source, size), associated = drawn(source, source() % 3 == 0 ? source() % 40 : 16);
    bytes expected(size + tag_size), made(size + tag_size), opened(size);
    slow.seal(nonce, associated, plain, expected.data());
    fast.seal(nonce, associated, plain, made.data());
    CHECK(made == expected);
    CHECK(fast.open(nonce, associated, expected, opened.data()));
    CHECK(opened == plain);
    CHECK(slow.open(nonce, associated, made, made.data()));
    CHECK(fast.open(nonce, associated, expected, expected.data()));
    CHECK(expected == made);
  };
  for (std::size_t size = 0; size <= 1100; ++size) compare(size);
  for (int i = 0; i < 500; ++i) compare(source() % 9301);
  compare(65507);
}

TEST_CASE("gcm_engine: what is forged is refused, and nothing of it is left in clear") {
  const auto engine = fast_engine("forgeries at the accelerator");
  if (!engine) return;
  std::mt19937_64 source(5);
  const cipher fast(suite::aes_256_gcm, secret_of(drawn(source, 32)), *engine);
  for (int i = 0; i < 2000; ++i) {
    const bytes plain = drawn(source, 1 + source() % 3000), associated = drawn(source, 16);
    const cipher::nonce nonce = cipher::nonce_of(source());
    bytes forged(plain.size() + tag_size);
    fast.seal(nonce, associated, plain, forged.data());
    std::uint8_t& hit = forged[source() % forged.size()];
    hit = static_cast<std::uint8_t>(hit ^ (1U << source() % 8));
    CHECK_FALSE(fast.open(nonce, associated, forged, forged.data()));
    forged.resize(plain.size());
    CHECK(forged == bytes(plain.size()));
  }
}

}  // namespace
}  // namespace lanloom::crypto
