// SPDX-License-Identifier: Apache-2.0
// network_image.hpp - a host's network as sorted lines of text, to be compared before and after: links, addresses,
// routes, rules, permanent neighbours, namespaces, nft rules, and every net.ipv4 and net.ipv6 setting.
//
// For the inside of on_own_host. Uses the programs ip and nft, so that it does not believe what it tests.
#pragma once

#include <string>
#include <vector>

namespace lanloom::app {

using network_image = std::vector<std::string>;

[[nodiscard]] network_image take_network_image();

// Lines of `after` that `before` has not ("+ ...") and the other way round ("- ..."). Settings of interfaces that came
// with them are no difference: only those that were there before count.
[[nodiscard]] std::string difference(const network_image& before, const network_image& after);

}  // namespace lanloom::app
