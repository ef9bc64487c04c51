// SPDX-License-Identifier: Apache-2.0
// aead.hpp - the two ciphers of transport data: ChaCha20-Poly1305 (RFC 8439) by libsodium, and AES-256-GCM by libsodium
// or what gcm_engine chose.
//
// Nonce for both: 4 zero bytes || LE64(counter). Tag 16 bytes, behind the ciphertext. Never used with one counter
// twice: that is the session's promise, not checked here. AES-256-GCM exists only where the processor has the
// instructions; ask available() before making a key with it. Only making a key allocates; sealing and opening do not,
// and do not throw.
#pragma once

#include <lanloom/base/bytes.hpp>
#include <lanloom/crypto/gcm_engine.hpp>
#include <lanloom/crypto/keys.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <type_traits>

namespace lanloom::crypto {

enum class suite : std::uint8_t { chacha20_poly1305 = 1, aes_256_gcm = 2 };  // on the wire: do not renumber

inline constexpr std::size_t tag_size = 16;

[[nodiscard]] bool available(suite s) noexcept;

class cipher;  // src/crypto/cipher.hpp

// One direction's transport key with its expanded schedule; wiped on destruction, moves, does not copy.
class aead_key {
 public:
  // One message of a train. `sealed` has room for plain.size() + tag_size bytes and does not overlap `plain`.
  struct message {
    std::uint64_t counter;
    bytes_view associated;
    bytes_view plain;
    std::uint8_t* sealed;
  };

  aead_key(crypto::suite s, const secret<32>& key, const gcm_engine& engine = {});  // REQUIRES available(s)
  aead_key(aead_key&&) noexcept;
  aead_key& operator=(aead_key&&) noexcept;
  ~aead_key();

  // Seals `count` messages in one call. next(k) yields message k and is called after message k-1 has been sealed, so it
  // may overwrite the plaintext of k-1.
  template <class Next>
  void seal(std::size_t count, Next&& next) const noexcept {
    static_assert(std::is_nothrow_invocable_r_v<message, Next&, std::size_t>);
    using callable = std::remove_reference_t<Next>;
    auto* context = const_cast<std::remove_const_t<callable>*>(std::addressof(next));
    seal_train(
        count, [](void* c, std::size_t k) noexcept { return message((*static_cast<callable*>(c))(k)); }, context);
  }

  // Opens in place: on true sealed[0, size - 16) is the plaintext; on false its content is unspecified. Any size will
  // do: what is shorter than a tag is refused.
  [[nodiscard]] bool open(std::uint64_t counter, bytes_view associated, bytes_span sealed) const noexcept;

  [[nodiscard]] crypto::suite suite() const noexcept;
  [[nodiscard]] std::string_view name() const noexcept;  // with what computes it: "aes-256-gcm (ipsec-mb)"

 private:
  using next_message = message (*)(void* context, std::size_t k) noexcept;
  void seal_train(std::size_t count, next_message next, void* context) const noexcept;

  std::unique_ptr<cipher> cipher_;
};

}  // namespace lanloom::crypto
