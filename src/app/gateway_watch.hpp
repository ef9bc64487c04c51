// SPDX-License-Identifier: Apache-2.0
// gateway_watch.hpp - whether the host still reaches its default gateway after its addresses have moved to a bridge.
//
// 1. It asks each gateway for its Ethernet address until one answers; then the watch is over.
// 2. When none has for `patience`, whoever began the watch is told, once: the move has cut the host off.
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

  // Without a gateway there is nothing to watch. A new watch ends the one before.
  void begin(std::string bridge, std::vector<ip_address> gateways, std::function<void()> on_silent);
  void end();

 private:
  void look();
  [[nodiscard]] bool any_answers();

  boost::asio::steady_timer timer_;
  std::string bridge_;
  std::vector<ip_address> gateways_;
  std::function<void()> on_silent_;
  time_point deadline_{};
  os::netlink kernel_;
};

}  // namespace lanloom::app
