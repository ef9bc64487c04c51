// SPDX-License-Identifier: Apache-2.0
// The same programs of others that the tests of os run with.
#include "os/partner.cpp"
