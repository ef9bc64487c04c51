// SPDX-License-Identifier: Apache-2.0
// ipsec_mb.hpp - the one place that knows libipsec-mb: is it in this build, and which of its code suits the processor.
//
// The library has a manager for queues of jobs. Only the three entry points that it would use for AES-256-GCM are
// taken from it; they need neither the manager nor any state but the expanded key, so it is gone again afterwards.
#pragma once

#include <lanloom/crypto/gcm_engine.hpp>

#include <cstddef>
#include <string_view>

namespace lanloom::crypto {

// Room for gcm_key_data and gcm_context_data of every version: the larger of them have 1008 and 88 bytes.
inline constexpr std::size_t gcm_schedule_room = 1536;
inline constexpr std::size_t gcm_context_room = 128;
inline constexpr std::size_t gcm_alignment = 64;

// Fills `found` and returns nothing, or returns why not. `fast_only`: not for processors older than AVX2.
[[nodiscard]] std::string_view find_ipsec_mb(bool fast_only, gcm_engine::calls& found) noexcept;

}  // namespace lanloom::crypto
