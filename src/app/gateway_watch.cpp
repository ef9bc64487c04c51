// SPDX-License-Identifier: Apache-2.0
#include "gateway_watch.hpp"

#include <lanloom/app/log.hpp>
#include <lanloom/os/clock.hpp>

#include <algorithm>
#include <utility>

namespace lanloom::app {

void gateway_watch::begin(std::string bridge, std::vector<ip_address> gateways, std::function<void()> on_silent) {
  end();
  if (gateways.empty()) return;
  bridge_ = std::move(bridge);
  gateways_ = std::move(gateways);
  on_silent_ = std::move(on_silent);
  deadline_ = os::monotonic_now() + patience;
  look();
}

void gateway_watch::end() {
  timer_.cancel();
  gateways_.clear();
}

void gateway_watch::look() {
  if (any_answers()) return end();
  if (os::monotonic_now() >= deadline_) {
    spdlog::error("the default gateway {} has not answered for {} s since it is reached by {}; taking that back",
                  to_string(gateways_.front()), patience.count(), bridge_);
    end();
    const auto tell = std::exchange(on_silent_, nullptr);  // it may begin another watch
    return tell();
  }
  timer_.expires_after(interval);
  timer_.async_wait([this](boost::system::error_code error) {
    if (!error && !gateways_.empty()) look();
  });
}

bool gateway_watch::any_answers() {
  try {
    const auto bridge = kernel_.link_by_name(bridge_);
    if (!bridge) return false;
    for (const auto& g : gateways_) {
      if (kernel_.neighbour(bridge->index, g) == os::neighbour_state::reachable) {
        spdlog::info("the default gateway {} answers by {}", to_string(g), bridge_);
        return true;
      }
      kernel_.probe_neighbour(bridge->index, g);
    }
  } catch (const std::system_error& e) {
    spdlog::debug("{}", e.what());  // the bridge is being made again: asked again in a moment
  }
  return false;
}

}  // namespace lanloom::app
