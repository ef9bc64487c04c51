// SPDX-License-Identifier: Apache-2.0
#include "vectors.hpp"

#include <lanloom/crypto/xchacha.hpp>

#include <doctest/doctest.h>

namespace lanloom::crypto {
namespace {
using namespace test;
}

TEST_CASE("XChaCha20-Poly1305: the published cases") {
  int accepted = 0, refused = 0, other_nonce_size = 0;
  const auto file = vectors("wycheproof_xchacha20_poly1305_test.json");
  for (const auto& group : file["testGroups"]) {
    for (const auto& v : group["tests"]) {
      CAPTURE(v["tcId"].get<int>());
      const bytes iv = unhex(v["iv"]), associated = unhex(v["aad"]), plain = unhex(v["msg"]);
      if (iv.size() != 24) {
        ++other_nonce_size;
        continue;
      }
      const bytes sealed = unhex(v["ct"]) + unhex(v["tag"]);
      const xchacha_nonce nonce(iv.data(), 24);
      const secret<32> key = secret_of(unhex(v["key"]));
      const bool valid = v["result"] == "valid";
      bytes opened(plain.size()), made(sealed.size());
      CHECK(open_xchacha(key, nonce, associated, sealed, opened) == valid);
      if (valid) CHECK(opened == plain);
      seal_xchacha(key, nonce, associated, plain, made);
      CHECK((made == sealed) == valid);
      ++(valid ? accepted : refused);
    }
  }
  MESSAGE(accepted << " accepted, " << refused << " refused, " << other_nonce_size << " with another nonce size");
  CHECK(accepted + refused + other_nonce_size == file["numberOfTests"].get<int>());
  CHECK(accepted == 246);
  CHECK(refused == 60);
  CHECK(other_nonce_size == 9);
}

}  // namespace lanloom::crypto
