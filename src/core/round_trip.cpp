// SPDX-License-Identifier: Apache-2.0
#include <lanloom/core/round_trip.hpp>

#include <algorithm>
#include <bit>

namespace lanloom::core {

void round_trip::on_answer(duration took) noexcept {
  took = std::max(took, duration::zero());
  shortest_ = std::min(shortest_.value_or(took), took);
  if (!smoothed_) {
    smoothed_ = took;
    variation_ = took / 2;
    return;
  }
  const duration off = *smoothed_ > took ? *smoothed_ - took : took - *smoothed_;
  variation_ = (3 * variation_ + off) / 4;
  smoothed_ = (7 * *smoothed_ + took) / 8;
}

void round_trip::count(bool answered) noexcept {
  lost_ = lost_ << 1 | (answered ? 0U : 1U);
  counted_ = std::min(counted_ + 1, history);
}

duration round_trip::timeout() const noexcept {
  if (!smoothed_) return first_timeout;
  return std::clamp<duration>(*smoothed_ + 4 * variation_, least_timeout, most_timeout);
}

std::optional<double> round_trip::loss() const noexcept {
  if (counted_ == 0) return std::nullopt;
  const std::uint32_t known = counted_ == history ? ~0U : (1U << counted_) - 1;
  return static_cast<double>(std::popcount(lost_ & known)) / counted_;
}

}  // namespace lanloom::core
