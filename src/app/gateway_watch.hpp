// SPDX-License-Identifier: Apache-2.0
// gateway_watch.hpp - whether the host still reaches its default gateway after its addresses have moved to a bridge.
//
// 1. It asks each gateway for its Ethernet address until one of each uplink has answered; then the watch is over.
// 2. When one uplink's have not for `patience`, whoever began the watch is told, once: the move has cut the host off.
// 15 s: a bridge with our STP timers begins to carry after 8 s.
// Process: keeper, its loop. Errors: what netlink throws is a question that was not asked.
#pragma once

#include <lanloom/base/clock.hpp>
#include <lanloom/base/ip_prefix.hpp>
#include <lanloom/os/netlink.hpp>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include <functional>
#include <string>
#include <vector>

namespace lanloom::app {

class gateway_watch {
 public:
  static constexpr std::chrono::seconds patience{15};
  static constexpr std::chrono::milliseconds interval{250};

  explicit gateway_watch(boost::asio::io_context& io) : timer_(io) {}

  // `gateways`: a list for each uplink, none of them empty. Without any it has proved itself at once. A new watch ends
  // the one before.
  void begin(std::string bridge, std::vector<std::vector<ip_address>> gateways, std::function<void()> on_proved,
             std::function<void()> on_silent);
  [[nodiscard]] bool pending() const noexcept { return !gateways_.empty(); }

 private:
  void look();
  [[nodiscard]] bool any_answers(const std::vector<ip_address>& gateways);
  [[nodiscard]] bool answers(int bridge, const ip_address& gateway);

  boost::asio::steady_timer timer_;
  std::string bridge_;
  std::vector<std::vector<ip_address>> gateways_;  // that have yet to answer
  std::function<void()> on_proved_;
  std::function<void()> on_silent_;
  time_point deadline_{};
  os::netlink kernel_;
};

}  // namespace lanloom::app
