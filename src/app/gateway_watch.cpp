// SPDX-License-Identifier: Apache-2.0
#include "gateway_watch.hpp"

#include <lanloom/app/log.hpp>
#include <lanloom/os/clock.hpp>

#include <algorithm>
#include <utility>

namespace lanloom::app {

void gateway_watch::begin(std::string bridge, std::vector<std::vector<ip_address>> gateways,
                          std::function<void()> on_proved, std::function<void()> on_silent) {
  timer_.cancel();
  bridge_ = std::move(bridge);
  gateways_ = std::move(gateways);
  on_proved_ = std::move(on_proved);
  on_silent_ = std::move(on_silent);
  deadline_ = os::monotonic_now() + patience;
  look();
}

void gateway_watch::look() {
  std::erase_if(gateways_, [this](const auto& of_one) { return any_answers(of_one); });
  if (gateways_.empty()) return std::exchange(on_proved_, nullptr)();
  if (os::monotonic_now() >= deadline_) {
    spdlog::error("the default gateway {} has not answered for {} s since it is reached by {}; taking that back",
                  to_string(gateways_.front().front()), patience.count(), bridge_);
    gateways_.clear();
    return std::exchange(on_silent_, nullptr)();  // it may begin another watch
  }
  timer_.expires_after(interval);
  timer_.async_wait([this](boost::system::error_code error) {
    if (!error) look();
  });
}

bool gateway_watch::any_answers(const std::vector<ip_address>& gateways) {
  const auto bridge = kernel_.link_by_name(bridge_);
  return bridge && std::any_of(gateways.begin(), gateways.end(),
                               [&](const ip_address& gateway) { return answers(bridge->index, gateway); });
}

bool gateway_watch::answers(int bridge, const ip_address& gateway) {
  try {
    if (kernel_.neighbour(bridge, gateway) == os::neighbour_state::reachable) {
      spdlog::info("the default gateway {} answers by {}", to_string(gateway), bridge_);
      return true;
    }
    kernel_.probe_neighbour(bridge, gateway);
  } catch (const std::system_error& e) {
    spdlog::debug("{}", e.what());  // the bridge is being made again: asked again in a moment
  }
  return false;
}

}  // namespace lanloom::app
