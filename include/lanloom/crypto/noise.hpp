// SPDX-License-Identifier: Apache-2.0
// noise.hpp - the handshake Noise_IKpsk2_25519_ChaChaPoly_BLAKE2b (Noise rev 34), both roles, without message framing.
//
//   -> e, es, s, ss, payload 1          <- e, ee, se, psk, payload 2
//
// Invariants: (1) a step is taken once and in order: initiator write 1, read 2, split; responder read static, read
// payload, write 2, split (asserted); (2) after a false return the object is only fit to be destroyed, and nothing it
// wrote may be used; read_message_2 alone is different: a forged response must not destroy the handshake it answers;
// (3) all key material is wiped when consumed or destroyed; static-static results are never kept.
// The psk is given late because the responder learns only from message 1 whose it is. Ephemeral keys are arguments,
// made with make_key_pair() and used once; each write consumes one. Input spans may have any content and any size;
// output spans do not overlap them. Allocates nothing; does not throw.
#pragma once

#include <lanloom/base/bytes.hpp>
#include <lanloom/crypto/keys.hpp>

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

namespace lanloom::crypto {

// What Split() gives: k1 protects initiator -> responder. `hash` is the transcript hash h.
struct noise_result {
  secret<32> k1;
  secret<32> k2;
  std::array<std::uint8_t, 64> hash{};
};

// Noise's symmetric state: ck, h, k, n. The key is zero before the first mix_key; in a psk pattern that comes with e,
// so nothing is ever sealed under it.
class symmetric_state {
 public:
  explicit symmetric_state(std::string_view protocol_name) noexcept;  // a name of at most 64 bytes
  [[nodiscard]] symmetric_state clone() const noexcept;
  void mix_hash(bytes_view data) noexcept;
  void mix_key(bytes_view input) noexcept;
  void mix_key_and_hash(bytes_view input) noexcept;
  void encrypt_and_hash(bytes_view plain, bytes_span sealed) noexcept;  // sealed.size() == plain.size() + 16
  // False: not authentic, or the sizes are not plain.size() + 16 == sealed.size().
  [[nodiscard]] bool decrypt_and_hash(bytes_view sealed, bytes_span plain) noexcept;
  void split(noise_result& out) noexcept;

 private:
  secret<64> ck_;
  std::array<std::uint8_t, 64> h_{};
  secret<32> k_;
  std::uint64_t n_ = 0;
};

class noise_initiator {
 public:
  // `local` is copied (and wiped); `prologue` is hashed at once.
  noise_initiator(const key_pair& local, const public_key& remote, bytes_view prologue) noexcept;

  // Writes e (32), enc(s) (48) and enc(payload) (payload.size() + 16). False: a DH result was all zero.
  [[nodiscard]] bool write_message_1(key_pair ephemeral, bytes_view payload, std::span<std::uint8_t, 32> e,
                                     std::span<std::uint8_t, 48> sealed_static, bytes_span sealed_payload) noexcept;
  // Reads the response's e and enc(payload) into `payload` (sealed_payload.size() - 16 bytes). False: not authentic;
  // the handshake is as it was before, and another response may be read. True: the step is taken, whatever the caller
  // makes of the payload.
  [[nodiscard]] bool read_message_2(const secret<32>& psk, std::span<const std::uint8_t, 32> e,
                                    bytes_view sealed_payload, bytes_span payload) noexcept;
  void split(noise_result& out) noexcept;

 private:
  enum class phase : std::uint8_t { fresh, written, read, spent };

  phase phase_ = phase::fresh;
  symmetric_state state_;
  key_pair local_;
  key_pair ephemeral_;
  public_key remote_;
};

class noise_responder {
 public:
  noise_responder(const key_pair& local, bytes_view prologue) noexcept;

  // Two steps, so that the caller can stop between them when it does not know the key.
  [[nodiscard]] bool read_static(std::span<const std::uint8_t, 32> e, std::span<const std::uint8_t, 48> sealed_static,
                                 public_key& remote) noexcept;
  [[nodiscard]] bool read_payload(bytes_view sealed_payload, bytes_span payload) noexcept;
  [[nodiscard]] bool write_message_2(key_pair ephemeral, const secret<32>& psk, bytes_view payload,
                                     std::span<std::uint8_t, 32> e, bytes_span sealed_payload) noexcept;
  void split(noise_result& out) noexcept;

 private:
  enum class phase : std::uint8_t { fresh, static_known, read, written, spent };

  phase phase_ = phase::fresh;
  symmetric_state state_;
  key_pair local_;
  public_key remote_ephemeral_;
  public_key remote_;
};

}  // namespace lanloom::crypto
