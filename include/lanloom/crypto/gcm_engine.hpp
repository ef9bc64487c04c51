// SPDX-License-Identifier: Apache-2.0
// gcm_engine.hpp - what computes AES-256-GCM: libsodium, or libipsec-mb where that is faster. Same bytes either way.
//
// A value, handed to each key that is to use it; default-made it is libsodium, which alone is always enough.
// libipsec-mb is chosen only after choose() saw it give libsodium's results: the published answer, and sealing, opening
// and refusing over the sizes at which its code branches. Choosing allocates and asks the processor, and is done before
// the node gives up its rights; what was chosen makes no system call. Throws std::runtime_error when libsodium's own
// AES-256-GCM is wrong.
#pragma once

#include <cstdint>
#include <string_view>

// libipsec-mb's, never looked into.
struct gcm_key_data;
struct gcm_context_data;

namespace lanloom::crypto {

// What the user wishes. `automatic`: where the library is expected to be the faster one, from AVX2 on. `on`: wherever
// it works; who asks for that looks at accelerated() and tells the user reason().
enum class accelerator : std::uint8_t { automatic, on, off };

class gcm_engine {
 public:
  gcm_engine() noexcept = default;
  [[nodiscard]] static gcm_engine choose(accelerator wish);  // REQUIRES initialise()

  [[nodiscard]] bool accelerated() const noexcept { return calls_.seal != nullptr; }
  // Why it is libsodium, as part of a sentence; empty when it is not.
  [[nodiscard]] std::string_view reason() const noexcept { return reason_; }

  // Entry points of libipsec-mb for the best instructions of this processor; all or none are there.
  struct calls {
    void (*expand)(const void* key, gcm_key_data* schedule) = nullptr;
    using cipher = void (*)(const gcm_key_data*, gcm_context_data*, std::uint8_t* out, const std::uint8_t* in,
                            std::uint64_t size, const std::uint8_t* nonce, const std::uint8_t* associated,
                            std::uint64_t associated_size, std::uint8_t* tag, std::uint64_t tag_size);
    cipher seal = nullptr;
    cipher open = nullptr;
  };
  [[nodiscard]] const calls& entry() const noexcept { return calls_; }

 private:
  explicit gcm_engine(std::string_view why_not) noexcept : reason_(why_not) {}
  explicit gcm_engine(const calls& found) noexcept : calls_(found), reason_() {}

  calls calls_;
  std::string_view reason_ = "it was not asked for";  // static text
};

}  // namespace lanloom::crypto
