// SPDX-License-Identifier: Apache-2.0
#include <lanloom/crypto/hash.hpp>
#include <lanloom/crypto/noise.hpp>

#include <cassert>
#include <utility>

#include "cipher.hpp"

namespace lanloom::crypto {
namespace {

constexpr std::string_view protocol_name = "Noise_IKpsk2_25519_ChaChaPoly_BLAKE2b";

// HKDF of Noise 4.3. An output may be `chaining_key` itself.
void hkdf(const secret<64>& chaining_key, bytes_view input, std::initializer_list<secret<64>*> outputs) noexcept {
  secret<64> temporary;
  hmac_blake2b(temporary.writable(), chaining_key.view(), {input});
  bytes_view previous;
  std::uint8_t number = 0;
  for (secret<64>* output : outputs) {
    ++number;
    hmac_blake2b(output->writable(), temporary.view(), {previous, bytes_view(&number, 1)});
    previous = output->view();
  }
}

[[nodiscard]] secret<32> truncated(const secret<64>& key) noexcept { return secret<32>(key.view().first<32>()); }

// Token e. In a psk pattern it goes into the key too.
void mix_ephemeral(symmetric_state& state, std::span<const std::uint8_t, 32> e) noexcept {
  state.mix_hash(e);
  state.mix_key(e);
}

// Tokens es, ss, ee, se. False when the result is all zero.
[[nodiscard]] bool mix_dh(symmetric_state& state, const private_key& own, const public_key& theirs) noexcept {
  secret<32> shared;
  if (!diffie_hellman(own, theirs, shared)) return false;
  state.mix_key(shared.view());
  return true;
}

[[nodiscard]] public_key to_public_key(std::span<const std::uint8_t, 32> bytes) noexcept {
  public_key key;
  std::copy(bytes.begin(), bytes.end(), key.bytes.begin());
  return key;
}

}  // namespace

symmetric_state::symmetric_state(std::string_view name) noexcept {
  assert(name.size() <= h_.size());
  const bytes_view padded = as_bytes(name);
  std::copy(padded.begin(), padded.end(), h_.begin());
  std::copy(h_.begin(), h_.end(), ck_.writable().begin());
}

symmetric_state symmetric_state::clone() const noexcept {
  symmetric_state copy{std::string_view{}};
  copy.ck_ = ck_.clone();
  copy.h_ = h_;
  copy.k_ = k_.clone();
  copy.n_ = n_;
  return copy;
}

void symmetric_state::mix_hash(bytes_view data) noexcept { blake2b(h_, {h_, data}); }

void symmetric_state::mix_key(bytes_view input) noexcept {
  secret<64> key;
  hkdf(ck_, input, {&ck_, &key});
  k_ = truncated(key);
  n_ = 0;
}

void symmetric_state::mix_key_and_hash(bytes_view input) noexcept {
  secret<64> hashed, key;
  hkdf(ck_, input, {&ck_, &hashed, &key});
  mix_hash(hashed.view());
  k_ = truncated(key);
  n_ = 0;
}

void symmetric_state::encrypt_and_hash(bytes_view plain, bytes_span sealed) noexcept {
  assert(sealed.size() == plain.size() + tag_size);
  const cipher with(suite::chacha20_poly1305, k_);
  with.seal(cipher::nonce_of(n_++), h_, plain, sealed.data());
  mix_hash(sealed);
}

bool symmetric_state::decrypt_and_hash(bytes_view sealed, bytes_span plain) noexcept {
  if (sealed.size() != plain.size() + tag_size) return false;
  const cipher with(suite::chacha20_poly1305, k_);
  if (!with.open(cipher::nonce_of(n_), h_, sealed, plain.data())) return false;
  ++n_;
  mix_hash(sealed);
  return true;
}

void symmetric_state::split(noise_result& out) noexcept {
  secret<64> first, second;
  hkdf(ck_, {}, {&first, &second});
  out.k1 = truncated(first);
  out.k2 = truncated(second);
  out.hash = h_;
  wipe(ck_.writable());
  wipe(k_.writable());
}

noise_initiator::noise_initiator(const key_pair& local, const public_key& remote, bytes_view prologue) noexcept
    : state_(protocol_name), local_(local.clone()), remote_(remote) {
  state_.mix_hash(prologue);
  state_.mix_hash(remote_.bytes);
}

bool noise_initiator::write_message_1(key_pair ephemeral, bytes_view payload, std::span<std::uint8_t, 32> e,
                                      std::span<std::uint8_t, 48> sealed_static, bytes_span sealed_payload) noexcept {
  assert(phase_ == phase::fresh);
  phase_ = phase::spent;
  ephemeral_ = std::move(ephemeral);
  std::copy(ephemeral_.public_half.bytes.begin(), ephemeral_.public_half.bytes.end(), e.begin());
  mix_ephemeral(state_, e);
  if (!mix_dh(state_, ephemeral_.secret_half, remote_)) return false;  // es
  state_.encrypt_and_hash(local_.public_half.bytes, sealed_static);    // s
  if (!mix_dh(state_, local_.secret_half, remote_)) return false;      // ss
  state_.encrypt_and_hash(payload, sealed_payload);
  phase_ = phase::written;
  return true;
}

bool noise_initiator::read_message_2(const secret<32>& psk, std::span<const std::uint8_t, 32> e,
                                     bytes_view sealed_payload, bytes_span payload) noexcept {
  assert(phase_ == phase::written);
  symmetric_state tried = state_.clone();
  const public_key remote_ephemeral = to_public_key(e);
  mix_ephemeral(tried, e);
  if (!mix_dh(tried, ephemeral_.secret_half, remote_ephemeral)) return false;  // ee
  if (!mix_dh(tried, local_.secret_half, remote_ephemeral)) return false;      // se
  tried.mix_key_and_hash(psk.view());
  if (!tried.decrypt_and_hash(sealed_payload, payload)) return false;
  state_ = std::move(tried);
  wipe(ephemeral_.secret_half.writable());
  wipe(local_.secret_half.writable());
  phase_ = phase::read;
  return true;
}

void noise_initiator::split(noise_result& out) noexcept {
  assert(phase_ == phase::read);
  phase_ = phase::spent;
  state_.split(out);
}

noise_responder::noise_responder(const key_pair& local, bytes_view prologue) noexcept
    : state_(protocol_name), local_(local.clone()) {
  state_.mix_hash(prologue);
  state_.mix_hash(local_.public_half.bytes);
}

bool noise_responder::read_static(std::span<const std::uint8_t, 32> e, std::span<const std::uint8_t, 48> sealed_static,
                                  public_key& remote) noexcept {
  assert(phase_ == phase::fresh);
  phase_ = phase::spent;
  remote_ephemeral_ = to_public_key(e);
  mix_ephemeral(state_, e);
  if (!mix_dh(state_, local_.secret_half, remote_ephemeral_)) return false;  // es
  if (!state_.decrypt_and_hash(sealed_static, remote_.bytes)) return false;  // s
  remote = remote_;
  phase_ = phase::static_known;
  return true;
}

bool noise_responder::read_payload(bytes_view sealed_payload, bytes_span payload) noexcept {
  assert(phase_ == phase::static_known);
  phase_ = phase::spent;
  if (!mix_dh(state_, local_.secret_half, remote_)) return false;  // ss
  wipe(local_.secret_half.writable());
  if (!state_.decrypt_and_hash(sealed_payload, payload)) return false;
  phase_ = phase::read;
  return true;
}

bool noise_responder::write_message_2(key_pair ephemeral, const secret<32>& psk, bytes_view payload,
                                      std::span<std::uint8_t, 32> e, bytes_span sealed_payload) noexcept {
  assert(phase_ == phase::read);
  phase_ = phase::spent;
  std::copy(ephemeral.public_half.bytes.begin(), ephemeral.public_half.bytes.end(), e.begin());
  mix_ephemeral(state_, e);
  if (!mix_dh(state_, ephemeral.secret_half, remote_ephemeral_)) return false;  // ee
  if (!mix_dh(state_, ephemeral.secret_half, remote_)) return false;            // se
  state_.mix_key_and_hash(psk.view());
  state_.encrypt_and_hash(payload, sealed_payload);
  phase_ = phase::written;
  return true;
}

void noise_responder::split(noise_result& out) noexcept {
  assert(phase_ == phase::written);
  phase_ = phase::spent;
  state_.split(out);
}

}  // namespace lanloom::crypto
