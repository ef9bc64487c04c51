// SPDX-License-Identifier: Apache-2.0
#include <lanloom/core/candidates.hpp>

#include <algorithm>
#include <cassert>

namespace lanloom::core {

candidates::candidates(std::span<const endpoint> found) noexcept {
  if (found.empty()) return;
  // One cursor per family.
  std::array<std::size_t, 2> next{};
  const auto step = [&](bool v4) {
    std::size_t& at = next[v4 ? 0 : 1];
    while (at < found.size() && found[at].is_v4() != v4) ++at;
    if (at == found.size()) return false;
    add(found[at++]);
    return true;
  };
  const bool first = found.front().is_v4();
  while (step(first) | step(!first)) continue;
}

void candidates::add(const endpoint& one) noexcept {
  if (size_ < most && !has(one)) all_[size_++] = one;
}

bool candidates::has(const endpoint& one) const noexcept {
  return std::find(all().begin(), all().end(), one) != all().end();
}

candidates::call candidates::at(std::size_t turn, const std::optional<endpoint>& known) const noexcept {
  assert(known || size_ > 0);
  if (!known) {
    turn = std::min(turn, size_ - 1);
    return {all_[turn], turn + 1 == size_};
  }
  const std::size_t others = size_ - (has(*known) ? 1 : 0);
  if (turn == 0 || others == 0) return {*known, others == 0};
  turn = std::min(turn, others);
  std::size_t seen = 0;
  const auto found =
      std::find_if(all().begin(), all().end(), [&](const endpoint& one) { return one != *known && ++seen == turn; });
  return {*found, turn == others};
}

}  // namespace lanloom::core
