// SPDX-License-Identifier: Apache-2.0
// name_lookup.hpp - one host name looked up by a child process that has no rights and knows no key.
//
// 1. What comes from name servers is parsed in the child alone, whose user, capabilities and limits are the node's. It
//    may read files and talk to sockets, because that is what looking up a name is; it may write, execute and fork
//    nothing.
// 2. The parent reads one message of fixed size and believes nothing in it: which of these addresses are used is the
//    caller's.
// 3. Nothing here waits; how long a lookup may take is the caller's, who ends it by destroying this.
// Process: keeper; the child forks from its only thread. Errors: std::system_error where no child could be made.
#pragma once

#include <lanloom/base/endpoint.hpp>
#include <lanloom/os/sandbox.hpp>
#include <lanloom/os/unique_fd.hpp>

#include <functional>
#include <string>
#include <vector>

namespace lanloom::os {

class name_lookup {
 public:
  static constexpr std::size_t most = 8;  // addresses of one name

  // `forget` runs first in the child: it wipes what nobody there must see.
  name_lookup(const std::string& name, const sandbox_identity& identity, const std::function<void()>& forget);
  ~name_lookup();
  name_lookup(const name_lookup&) = delete;
  name_lookup& operator=(const name_lookup&) = delete;

  // Readable when there is an answer, or will be none.
  [[nodiscard]] int fd() const noexcept { return from_child_.get(); }

  struct answer {
    std::vector<endpoint> addresses;  // in the resolver's order; no ports
    std::string error;                // a word of the system's, when there are none
  };
  [[nodiscard]] answer read() noexcept;
  [[nodiscard]] pid_t child() const noexcept { return child_; }

 private:
  unique_fd from_child_;
  pid_t child_ = -1;
};

}  // namespace lanloom::os
