// SPDX-License-Identifier: Apache-2.0
#include <lanloom/crypto/xchacha.hpp>

#include <sodium.h>

#include <cassert>

namespace lanloom::crypto {

namespace {
constexpr std::size_t tag_bytes = crypto_aead_xchacha20poly1305_ietf_ABYTES;
static_assert(tag_bytes == 16 && crypto_aead_xchacha20poly1305_ietf_NPUBBYTES == 24);
}  // namespace

void seal_xchacha(const secret<32>& key, xchacha_nonce nonce, bytes_view associated, bytes_view plain,
                  bytes_span sealed) noexcept {
  assert(sealed.size() == plain.size() + tag_bytes);
  crypto_aead_xchacha20poly1305_ietf_encrypt(sealed.data(), nullptr, plain.data(), plain.size(), associated.data(),
                                             associated.size(), nullptr, nonce.data(), key.view().data());
}

bool open_xchacha(const secret<32>& key, xchacha_nonce nonce, bytes_view associated, bytes_view sealed,
                  bytes_span plain) noexcept {
  assert(sealed.size() == plain.size() + tag_bytes);
  return crypto_aead_xchacha20poly1305_ietf_decrypt(plain.data(), nullptr, nullptr, sealed.data(), sealed.size(),
                                                    associated.data(), associated.size(), nonce.data(),
                                                    key.view().data()) == 0;
}

}  // namespace lanloom::crypto
