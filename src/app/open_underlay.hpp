// SPDX-License-Identifier: Apache-2.0
// open_underlay.hpp - a start opens its UDP port.
//
// Process: keeper. Errors: setup_error where somebody else has the port, with the cure; std::system_error.
#pragma once

#include "open_when_free.hpp"

#include <lanloom/app/host.hpp>
#include <lanloom/os/udp.hpp>

#include <string>

namespace lanloom::app {

inline os::udp_socket open_underlay(const endpoint& listen, bool adopts) {
  try {
    return open_when_free(adopts, [&] { return os::udp_socket::open(listen); });
  } catch (const std::system_error& e) {
    if (e.code() != std::errc::address_in_use) throw;
    throw setup_error(std::string(e.what()) +
                      "; another program or instance has that port: choose another [node] listen, or stop it");
  }
}

}  // namespace lanloom::app
