// SPDX-License-Identifier: Apache-2.0
#include <lanloom/core/reassembly.hpp>
#include <lanloom/wire/record.hpp>

#include <algorithm>
#include <cassert>
#include <cstring>

namespace lanloom::core {

namespace {
constexpr std::uint64_t bit(std::uint8_t index) noexcept { return std::uint64_t{1} << index; }
constexpr std::uint64_t all(std::uint8_t count) noexcept { return ~std::uint64_t{0} >> (64 - count); }
static_assert(wire::max_fragments == 64, "one bit per slice");
}  // namespace

reassembly::reassembly(std::size_t max_frame)
    : max_frame_(max_frame),
      frames_per_session_(
          std::min(max_frames_per_session, max_bytes_per_session / std::max<std::size_t>(max_frame, 1))),
      frames_(max_bytes / std::max<std::size_t>(max_frame, 1)),
      // Not cleared: a page is touched when the first frame comes that needs it.
      buffers_(std::make_unique_for_overwrite<std::uint8_t[]>(frames_.size() * max_frame)),
      free_(0) {
  assert(max_frame > 0 && max_frame <= max_bytes_per_session);
  buckets_.fill(none);
  for (std::uint32_t n = 0; n + 1 < frames_.size(); ++n) frames_[n].chain = n + 1;
}

bytes_span reassembly::add(session_id session, std::uint64_t counter, std::uint8_t index, std::uint8_t count,
                           bytes_view slice, time_point now, drop_counters& drops) noexcept {
  expire(now, drops);
  if (count < 2 || count > wire::max_fragments || index >= count || index > counter || slice.empty()) {
    drops.count(drop::bad_record);
    return {};
  }

  const auto state = look(session, counter - index);
  frame fresh;
  fresh.first_counter = counter - index;
  fresh.session = session;
  fresh.started = now;
  fresh.count = count;
  const auto& known = state.match == none ? fresh : frames_[state.match];
  if (const auto reason = check(known, index, count, slice.size()); reason != drop::none) {
    drops.count(reason);
    return {};
  }
  if ((known.received & bit(index)) != 0) return {};

  const auto n = state.match == none ? start(state, fresh, drops) : state.match;
  place(n, index, slice);
  const auto& f = frames_[n];
  if (f.received != all(f.count)) return {};
  const bytes_span whole{buffer(n), (f.count - std::size_t{1}) * f.slice_size + f.last_size};
  remove(n);
  return whole;
}

void reassembly::expire(time_point now, drop_counters& drops) noexcept {
  while (oldest_ != none && now - frames_[oldest_].started >= max_age) {
    remove(oldest_);
    drops.count(drop::reassembly_expired);
  }
}

void reassembly::forget(session_id session, drop_counters& drops) noexcept {
  for (auto n = bucket(session); n != none;) {
    const auto next = frames_[n].chain;
    if (frames_[n].session == session) {
      remove(n);
      drops.count(drop::reassembly_expired);
    }
    n = next;
  }
}

reassembly::session_state reassembly::look(session_id session, std::uint64_t first_counter) noexcept {
  session_state state;
  for (auto n = bucket(session); n != none; n = frames_[n].chain) {
    if (frames_[n].session != session) continue;
    if (frames_[n].first_counter == first_counter) state.match = n;
    state.oldest = n;
    ++state.frames;
  }
  return state;
}

// Whether the slice can belong to a frame of which `f` is known, and that frame can still be short enough.
drop reassembly::check(const frame& f, std::uint8_t index, std::uint8_t count, std::size_t size) const noexcept {
  if (count != f.count) return drop::bad_record;
  const bool last = index + 1 == count;
  const std::size_t known = last ? f.last_size : f.slice_size;
  if (known != 0 && size != known) return drop::bad_record;

  const std::size_t last_size = last ? size : std::max<std::size_t>(f.last_size, 1);
  // As long as only the last slice is here, the others are at least as long.
  const std::size_t slice_size = !last ? size : f.slice_size != 0 ? f.slice_size : size;
  if (last_size > slice_size) return drop::bad_record;
  return (count - std::size_t{1}) * slice_size + last_size > max_frame_ ? drop::long_frame : drop::none;
}

std::uint32_t reassembly::start(const session_state& state, const frame& f, drop_counters& drops) noexcept {
  if (state.frames >= frames_per_session_) {
    remove(state.oldest);
    drops.count(drop::reassembly_full);
  } else if (free_ == none) {
    remove(oldest_);
    drops.count(drop::reassembly_full);
  }
  const auto n = free_;
  free_ = frames_[n].chain;

  frames_[n] = f;
  frames_[n].chain = bucket(f.session);
  bucket(f.session) = n;
  frames_[n].older = newest_;
  (newest_ == none ? oldest_ : frames_[newest_].newer) = n;
  newest_ = n;
  return n;
}

void reassembly::place(std::uint32_t n, std::uint8_t index, bytes_view slice) noexcept {
  auto& f = frames_[n];
  auto* const bytes = buffer(n);
  const auto size = static_cast<std::uint32_t>(slice.size());
  const auto end = [&] { return bytes + (f.count - std::size_t{1}) * f.slice_size; };
  if (index + 1 == f.count) {
    // Where the last slice belongs is known only with another; until then it waits at the end of the buffer.
    f.last_size = size;
    std::memcpy(f.slice_size != 0 ? end() : bytes + max_frame_ - size, slice.data(), size);
  } else {
    if (f.slice_size == 0) {
      f.slice_size = size;
      if (f.last_size != 0) std::memmove(end(), bytes + max_frame_ - f.last_size, f.last_size);
    }
    std::memcpy(bytes + std::size_t{index} * size, slice.data(), size);
  }
  f.received |= bit(index);
}

void reassembly::remove(std::uint32_t n) noexcept {
  auto& f = frames_[n];
  (f.newer == none ? newest_ : frames_[f.newer].older) = f.older;
  (f.older == none ? oldest_ : frames_[f.older].newer) = f.newer;
  auto* link = &bucket(f.session);
  while (*link != n) link = &frames_[*link].chain;
  *link = f.chain;
  f.chain = free_;
  free_ = n;
}

}  // namespace lanloom::core
