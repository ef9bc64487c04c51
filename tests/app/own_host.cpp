// SPDX-License-Identifier: Apache-2.0
// The same hosts of their own that the tests of os run on.
#include "os/own_host.cpp"
