// SPDX-License-Identifier: Apache-2.0
#include <lanloom/core/slots.hpp>

#include <utility>

namespace lanloom::core {

namespace {
// Of two sessions that crossed, the one begun by the smaller key wins at both ends.
bool beats(const std::optional<slots::entry>& x, const slots::entry& y) noexcept {
  if (!x || x->boot_id != y.boot_id) return false;
  const duration apart = x->born > y.born ? x->born - y.born : y.born - x->born;
  return apart < slots::crossing && x->initiator < y.initiator;
}
}  // namespace

slots::retired slots::add_as_responder(const entry& made) noexcept {
  retired out;
  out.add(std::exchange(next_, made));
  return out;
}

slots::retired slots::add_as_initiator(const entry& made, session_id theirs) noexcept {
  retired out;
  if (beats(current_, made)) {
    out.add(std::exchange(previous_, made));
  } else if (beats(next_, made)) {
    out.add(std::exchange(previous_, current_));
    current_ = made;
  } else if (next_) {
    out.add(previous_);
    out.add(current_);
    previous_ = std::exchange(next_, std::nullopt);
    current_ = made;
  } else if (previous_ && previous_->id == theirs) {
    out.add(std::exchange(current_, made));
  } else {
    out.add(std::exchange(previous_, current_));
    current_ = made;
  }
  drop_other_boots(made.boot_id, out);
  return out;
}

slots::retired slots::confirm_next() noexcept {
  retired out;
  if (!next_) return out;
  const std::uint64_t boot_id = next_->boot_id;
  out.add(previous_);
  if (beats(current_, *next_)) {
    previous_ = next_;
  } else {
    previous_ = current_;
    current_ = next_;
  }
  next_.reset();
  drop_other_boots(boot_id, out);
  return out;
}

slots::retired slots::expire(time_point now, duration max_age) noexcept {
  retired out;
  for (auto* place : {&previous_, &current_, &next_}) {
    if (*place && now - (*place)->born >= max_age) out.add(std::exchange(*place, std::nullopt));
  }
  return out;
}

slots::retired slots::end_boot_of(session_id id) noexcept {
  retired out;
  std::optional<std::uint64_t> boot_id;
  for (const auto* place : {&previous_, &current_, &next_}) {
    if (*place && (*place)->id == id) boot_id = (*place)->boot_id;
  }
  for (auto* place : {&previous_, &current_, &next_}) {
    if (*place && (*place)->boot_id == boot_id) out.add(std::exchange(*place, std::nullopt));
  }
  return out;
}

void slots::drop_other_boots(std::uint64_t boot_id, retired& out) noexcept {
  for (auto* place : {&previous_, &current_, &next_}) {
    if (*place && (*place)->boot_id != boot_id) out.add(std::exchange(*place, std::nullopt));
  }
}

}  // namespace lanloom::core
