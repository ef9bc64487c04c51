// SPDX-License-Identifier: Apache-2.0
#include "ipsec_mb.hpp"

#if LANLOOM_HAS_IPSEC_MB

#define NO_COMPAT_IMB_API_053  // the header's old names are short and many
#include <intel-ipsec-mb.h>

#include <memory>

namespace lanloom::crypto {

static_assert(sizeof(gcm_key_data) <= gcm_schedule_room && alignof(gcm_key_data) <= gcm_alignment);
static_assert(sizeof(gcm_context_data) <= gcm_context_room && alignof(gcm_context_data) <= gcm_alignment);

std::string_view find_ipsec_mb(bool fast_only, gcm_engine::calls& found) noexcept {
  const std::unique_ptr<IMB_MGR, void (*)(IMB_MGR*)> manager(alloc_mb_mgr(0), free_mb_mgr);
  if (!manager) return "libipsec-mb got no memory";
  constexpr std::uint64_t needed = IMB_FEATURE_AESNI | IMB_FEATURE_PCLMULQDQ;
  if ((manager->features & needed) != needed) return "this processor has no AES instructions";
  // With a library made for newer processors the start may fail on one that still has these instructions.
  IMB_ARCH chosen = IMB_ARCH_NONE;
  init_mb_mgr_auto(manager.get(), &chosen);
  if (imb_get_errno(manager.get()) != 0) return "libipsec-mb does not start on this processor";
  if (fast_only && chosen < IMB_ARCH_AVX2) return "this processor has no AVX2, without which it gains little";
  found = {manager->gcm256_pre, manager->gcm256_enc, manager->gcm256_dec};
  return {};
}

}  // namespace lanloom::crypto

#else

namespace lanloom::crypto {

std::string_view find_ipsec_mb(bool, gcm_engine::calls&) noexcept { return "this build is without libipsec-mb"; }

}  // namespace lanloom::crypto

#endif
