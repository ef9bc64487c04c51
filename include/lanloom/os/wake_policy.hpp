// SPDX-License-Identifier: Apache-2.0
// wake_policy.hpp - what becomes of the process that has the processor when something arrives for this thread.
//
// eager: it is interrupted, so that what waits for an answer gets it soon (SCHED_OTHER). patient: it goes on until its
// turn is over or it waits (SCHED_BATCH), so that more has arrived when this thread runs, at fewer changes between the
// two. A thread that was given any other policy by who started it keeps that. Errors: none; a kernel or a filter that
// refuses leaves it as it is.
#pragma once

namespace lanloom::os {

class wake_policy {
 public:
  wake_policy() noexcept;  // of the calling thread; before the system call filter
  void set_patient(bool patient) const noexcept;

 private:
  bool ours_;
};

}  // namespace lanloom::os
