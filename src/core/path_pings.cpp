// SPDX-License-Identifier: Apache-2.0
#include <lanloom/core/path_pings.hpp>

#include <lanloom/wire/datagram.hpp>
#include <lanloom/wire/record.hpp>

#include <algorithm>

namespace lanloom::core {

namespace {
constexpr std::size_t udp_header = 8;
std::size_t ip_header(const endpoint& to) noexcept { return to.is_v4() ? 20 : 40; }
std::uint16_t least_path(const endpoint& to) noexcept { return to.is_v4() ? 576 : 1280; }
}  // namespace

void path_pings::begin(const endpoint& to, std::size_t most) noexcept {
  const std::size_t overhead = ip_header(to) + udp_header + wire::data_overhead;
  overhead_ = static_cast<std::uint16_t>(overhead);
  small_ = static_cast<std::uint16_t>(overhead + wire::ping_size);
  mtu_.begin(least_path(to), static_cast<std::uint16_t>(std::min<std::size_t>(overhead + most, 65535)));
  times_ = {};
  sent_ = {};
  next_ = {};
  waiting_ = false;
  lost_ = 0;
}

// Data begins to flow, or large data turns up.
void path_pings::on_news(std::size_t bytes, time_point now) noexcept {
  const time_point soonest = now + (flowing(now) ? duration::zero() : stagger_);
  if (!flowing(now)) next_ = std::max(next_, soonest);
  if (bytes > large_frame && !large_) {
    large_ = true;
    if (lost_ == 0) next_ = std::min(next_, std::max(soonest, sent_at_ + check));
  }
  last_data_ = now;
}

path_pings::batch path_pings::on_timer(time_point now) noexcept {
  if (waiting_) {
    if (now < sent_at_ + timeout_) return {};
    on_timeout(now);
  }
  if (!flowing(now)) {
    last_data_.reset();
    return {};
  }
  if (now < next_) return {};

  batch due;
  if (lost_ > 0) {
    due.sizes[due.count++] = small_;
  } else {
    others_passed_ = false;
    trying_ = mtu_.candidate(now);
    if (trying_ == 0) trying_ = large_ && mtu_.size() > mtu_.least() ? mtu_.size() : small_;
  }
  due.sizes[due.count++] = trying_;
  large_ = false;
  waiting_ = true;
  counts_ = trying_ <= mtu_.size();
  sent_at_ = now;
  timeout_ = times_.timeout();
  return due;
}

void path_pings::on_sent(std::uint64_t token, std::uint16_t size, time_point now) noexcept {
  sent_[turn_] = {token, size, now};
  turn_ = (turn_ + 1) % remembered;
}

void path_pings::on_timeout(time_point now) noexcept {
  waiting_ = false;
  if (counts_) times_.count(false);
  if (trying_ == small_) return finish(now);
  if (++lost_ < tries) {
    next_ = now;
  } else if (others_passed_) {
    mtu_.on_failed(trying_);
    finish(now);
  } else {
    lost_ = 0;
    next_ = now + check;
  }
}

// The fate of trying_ is known.
void path_pings::finish(time_point now) noexcept {
  lost_ = 0;
  next_ = mtu_.candidate(now) != 0 ? now : sent_at_ + (large_ ? check : pace);
}

bool path_pings::on_pong(std::uint64_t token, std::size_t plain, time_point now) noexcept {
  const auto answered = [&](const ping& one) {
    return one.size != 0 && one.token == token && plain_of(one.size) == plain;
  };
  const auto found = std::find_if(sent_.begin(), sent_.end(), answered);
  if (found == sent_.end()) return false;
  const std::uint16_t size = found->size;
  found->size = 0;
  times_.on_answer(now - found->at);
  if (size != small_) mtu_.on_passed(size);
  if (size == trying_) {
    if (waiting_ && counts_) times_.count(true);
    waiting_ = false;
    finish(now);
  } else if (size == small_) {
    others_passed_ = true;
  }
  return true;
}

bool path_pings::on_refused(std::size_t bytes) noexcept {
  const std::size_t packet = bytes + overhead_ - wire::data_overhead;
  if (waiting_ && packet == trying_ && packet > mtu_.size()) {
    waiting_ = false;
    mtu_.on_failed(trying_);
    finish(sent_at_);
    next_ = std::max(next_, sent_at_ + pause);
    return true;
  }
  // Of a burst that was cut for the old path only the first datagram tells anything new.
  if (packet > mtu_.size()) return false;
  mtu_.on_failed(static_cast<std::uint16_t>(packet));
  waiting_ = false;
  lost_ = 0;
  if (last_data_) next_ = *last_data_ + pause;
  return false;
}

time_point path_pings::due() const noexcept {
  if (waiting_) return sent_at_ + timeout_;
  return last_data_ && next_ < *last_data_ + flows ? next_ : time_point::max();
}

}  // namespace lanloom::core
