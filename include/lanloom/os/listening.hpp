// SPDX-License-Identifier: Apache-2.0
// listening.hpp - whether somebody in the caller's network namespace already listens on a port.
//
// 1. Asked of the kernel (sock_diag); nothing is opened or bound, so nobody notices.
// 2. Listening means: a TCP socket in that state, or a UDP socket that is bound and not connected. Who listens on the
//    loopback alone is not reached from outside and does not count.
// 3. Where the kernel was built without sock_diag, nobody is seen to listen.
// Errors: std::system_error. Used by the keeper before it forwards a port, and by doctor.
#pragma once

#include <lanloom/base/ip_prefix.hpp>

#include <cstdint>

namespace lanloom::os {

enum class transport { tcp, udp };

// On `address` or on all addresses; with 0.0.0.0 or ::, on any address of that family. An IPv6 socket for all addresses
// listens to IPv4 too, unless it says otherwise.
[[nodiscard]] bool is_listening(transport protocol, std::uint16_t port, const ip_address& address);

}  // namespace lanloom::os
