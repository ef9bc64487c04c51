// SPDX-License-Identifier: Apache-2.0
#include <lanloom/core/outbox.hpp>

#include <algorithm>
#include <cassert>

namespace lanloom::core {

outbox::outbox(std::size_t peers)
    : max_trains_(max_trains + peers * flood_trains),
      arena_bytes_(min_arena + peers * flood_bytes),
      arena_(new std::uint8_t[arena_bytes_]) {
  trains_.reserve(max_trains_);
  frames_.reserve(max_slices);
  slices_.reserve(max_slices);
  notices_.reserve(max_notices);
}

bool outbox::train::continues_with(const endpoint& next_to, peer_id next_peer, bytes_view next,
                                   std::size_t next_stride) const noexcept {
  const bool fits = next.size() > next_stride ? next_stride == stride : next.size() <= stride;
  return fits && bytes.size() % stride == 0 && bytes.data() + bytes.size() == next.data() && peer == next_peer &&
         to == next_to;
}

[[gnu::hot]] bytes_span outbox::room(std::size_t size) noexcept {
  if (size > arena_bytes_ - used_ || trains_.size() == max_trains_) return {};
  return {arena_.get() + used_, size};
}

[[gnu::hot]] void outbox::push_train(const endpoint& to, peer_id peer, std::size_t size, std::size_t stride) noexcept {
  assert(size <= arena_bytes_ - used_ && trains_.size() < max_trains_ && stride > 0);
  const bytes_view bytes(arena_.get() + used_, size);
  used_ += size;
  if (!trains_.empty() && !train_ended_ && trains_.back().continues_with(to, peer, bytes, stride)) {
    trains_.back().bytes = {trains_.back().bytes.data(), trains_.back().bytes.size() + size};
  } else {
    trains_.push_back({to, peer, bytes, std::min(stride, size)});
  }
  train_ended_ = false;
}

bytes_span outbox::keep(std::size_t size) noexcept {
  assert(size <= arena_bytes_ - used_);
  const bytes_span kept(arena_.get() + used_, size);
  used_ += size;
  return kept;
}

[[gnu::hot]] bool outbox::push_frame(const offload& meta, std::span<const bytes_view> slices) noexcept {
  if (slices.size() > max_slices - slices_.size()) return false;
  // slices_ never grows beyond its reserve, so spans into it stay valid until clear().
  const auto first = slices_.insert(slices_.end(), slices.begin(), slices.end());
  frames_.push_back({meta, std::span<const bytes_view>(&*first, slices.size())});
  return true;
}

void outbox::push_notice(notice::kind what, peer_id peer, const endpoint& where) noexcept {
  if (notices_.size() < max_notices) notices_.push_back({what, peer, where});
}

[[gnu::hot]] bool outbox::is_filling() const noexcept {
  return used_ > warm_bytes || trains_.size() > max_trains / 2 || slices_.size() > max_slices / 2;
}

[[gnu::hot]] void outbox::clear() noexcept {
  used_ = 0;
  trains_.clear();
  frames_.clear();
  slices_.clear();
  notices_.clear();
}

}  // namespace lanloom::core
