// SPDX-License-Identifier: Apache-2.0
// permission_error.hpp - the caller may not do what it asks for (exit 4).
//
// One sentence with its cure. Thrown by whatever meets it first: a capability that is missing (privileges.hpp), a
// configuration or key file that may not be opened, a control socket of another group.
#pragma once

#include <stdexcept>

namespace lanloom::app {

struct permission_error : std::runtime_error {
  using std::runtime_error::runtime_error;
};

}  // namespace lanloom::app
