// SPDX-License-Identifier: Apache-2.0
#include <lanloom/os/wake_policy.hpp>

#include <sched.h>

namespace lanloom::os {

wake_policy::wake_policy() noexcept : ours_(::sched_getscheduler(0) == SCHED_OTHER) {}

void wake_policy::set_patient(bool patient) const noexcept {
  if (!ours_) return;
  const sched_param none{};
  (void)::sched_setscheduler(0, patient ? SCHED_BATCH : SCHED_OTHER, &none);
}

}  // namespace lanloom::os
