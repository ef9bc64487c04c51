// SPDX-License-Identifier: Apache-2.0
// partner.hpp - programs of others that a test of ours talks to, by way of packaging/partners.sh: the system's own,
// else their Debian package unpacked (never installed) below build/tools.
#pragma once

#include <string>

namespace lanloom::os {

struct partner {
  std::string package;
  std::string program;       // a path that the package holds: "/usr/bin/ovs-vsctl"
  std::string finish = ":";  // a shell text for what its installation would add, run where it is unpacked

  // Fetches it when need be. False: it cannot be had, and the test case has said that it is skipped.
  [[nodiscard]] bool have() const;
  // On a host of one's own (own_host.hpp): lays what was unpacked over /usr, where programs are looked for.
  void use() const;
};

}  // namespace lanloom::os
