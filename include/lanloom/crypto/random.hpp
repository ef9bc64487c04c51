// SPDX-License-Identifier: Apache-2.0
// random.hpp - where unpredictable bytes come from: the kernel, or for reproducible simulation a seed.
//
// The kernel's generator needs getrandom(2) for as long as the process lives; without it the process aborts.
// A seeded object gives the same bytes for the same sequence of calls; a copy of it repeats them.
#pragma once

#include <lanloom/base/bytes.hpp>

#include <cstdint>
#include <optional>

namespace lanloom::crypto {

class random {
 public:
  random() noexcept = default;                   // the kernel's generator
  explicit random(std::uint64_t seed) noexcept;  // a fixed sequence; tests only

  void fill(bytes_span out) noexcept;
  [[nodiscard]] std::uint32_t u32() noexcept;
  [[nodiscard]] std::uint64_t u64() noexcept;
  // Uniform in [0, bound); bound > 0.
  [[nodiscard]] std::uint32_t below(std::uint32_t bound) noexcept;

 private:
  std::optional<std::uint64_t> seed_;
  std::uint64_t draws_ = 0;
};

}  // namespace lanloom::crypto
