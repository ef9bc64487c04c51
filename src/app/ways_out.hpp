// SPDX-License-Identifier: Apache-2.0
// ways_out.hpp - by which interfaces, gateways and addresses of its own this host reaches its peers. When that changes,
// peers may know us at an address that is not ours any more.
//
// Process: keeper. Errors: std::system_error.
#pragma once

#include <lanloom/app/node_channel.hpp>

#include <string>

namespace lanloom::app {

class ways_out {
 public:
  // Whether they are others than at the last look. Asked for each address of a peer and each default route.
  bool look(const node_setup& setup);

 private:
  std::string seen_;
};

}  // namespace lanloom::app
