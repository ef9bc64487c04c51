// SPDX-License-Identifier: Apache-2.0
#include <lanloom/core/path_mtu.hpp>

#include <algorithm>
#include <array>

namespace lanloom::core {

namespace {
// Sizes at which paths end: Ethernet less what PPPoE, GRE, IPIP, 6in4, VXLAN, Geneve, WireGuard and IPsec take; jumbo
// frames of several makers and clouds; and steps between them.
constexpr std::array<std::uint16_t, 45> steps{640,  700,  800,  900,  1006, 1100, 1200, 1280, 1300, 1320, 1340, 1358,
                                              1372, 1380, 1390, 1400, 1412, 1420, 1430, 1440, 1450, 1454, 1458, 1462,
                                              1468, 1472, 1476, 1480, 1488, 1492, 1500, 1508, 1550, 1600, 2000, 3000,
                                              3900, 4352, 4470, 6000, 7500, 8500, 8896, 9000, 9216};
}  // namespace

void path_mtu::begin(std::uint16_t least, std::uint16_t most) noexcept {
  least_ = std::min(least, base);
  most_ = std::max(most, base);
  restart();
}

void path_mtu::restart() noexcept {
  size_ = base;
  above_ = static_cast<std::uint16_t>(most_ + 1);
  // Where nothing smaller may be used, there is nothing to learn from trying it.
  state_ = least_ == base ? state::search : state::base;
}

void path_mtu::on_passed(std::uint16_t size) noexcept {
  if (size < size_ || size > most_) return;
  size_ = size;
  if (state_ == state::base) state_ = state::search;
  if (above_ <= size) above_ = static_cast<std::uint16_t>(most_ + 1);
}

void path_mtu::on_failed(std::uint16_t size) noexcept {
  if (size > size_) {
    above_ = std::min(above_, size);
  } else if (size > base) {
    restart();
  } else {
    size_ = least_;
    above_ = size;
    state_ = state::search;
  }
}

std::uint16_t path_mtu::candidate(time_point now) noexcept {
  if (state_ == state::base) return base;
  if (state_ == state::complete) {
    if (now < raise_at_) return 0;
    state_ = state::search;
    above_ = static_cast<std::uint16_t>(most_ + 1);
  }
  // The likely ones first: Ethernet's, then all that could be of use.
  const std::uint16_t first = std::min(usual, most_);
  if (size_ < first && first < above_) return first;
  if (size_ < most_ && most_ < above_) return most_;
  if (const std::uint16_t next = half_way(); next != 0) return next;
  state_ = state::complete;
  raise_at_ = now + raise_after;
  return 0;
}

// The middle one of the steps that are still open.
std::uint16_t path_mtu::half_way() const noexcept {
  const auto from = std::upper_bound(steps.begin(), steps.end(), size_);
  const auto to = std::lower_bound(from, steps.end(), above_);
  return from == to ? std::uint16_t{0} : *(from + (to - from) / 2);
}

}  // namespace lanloom::core
