// SPDX-License-Identifier: Apache-2.0
#include <lanloom/os/wake_policy.hpp>

#include <doctest/doctest.h>
#include <sched.h>

#include <thread>

using namespace lanloom::os;

// Each in a thread of its own: what it leaves behind is nobody's.
TEST_CASE("wake policy: patient and eager again") {
  std::thread([] {
    const sched_param none{};
    CHECK(::sched_setscheduler(0, SCHED_OTHER, &none) == 0);
    const wake_policy policy;
    policy.set_patient(true);
    CHECK(::sched_getscheduler(0) == SCHED_BATCH);
    policy.set_patient(false);
    CHECK(::sched_getscheduler(0) == SCHED_OTHER);
  }).join();
}

TEST_CASE("wake policy: a policy that somebody chose stays") {
  std::thread([] {
    const sched_param none{};
    CHECK(::sched_setscheduler(0, SCHED_BATCH, &none) == 0);
    const wake_policy policy;
    policy.set_patient(false);
    CHECK(::sched_getscheduler(0) == SCHED_BATCH);
  }).join();
}
