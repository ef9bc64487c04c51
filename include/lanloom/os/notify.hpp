// SPDX-License-Identifier: Apache-2.0
// notify.hpp - tells the service manager how we are (sd_notify(3): one datagram to $NOTIFY_SOCKET).
#pragma once

#include <string_view>

namespace lanloom::os {

// `state` as "READY=1" or "STOPPING=1". Nothing happens when nobody asked to be told; a failure is not ours to report.
void notify_service_manager(std::string_view state) noexcept;

}  // namespace lanloom::os
