// SPDX-License-Identifier: Apache-2.0
// partner.hpp - programs of others that a test of ours talks to: from the system where they are installed, else from
// their Debian packages, unpacked (never installed) below build/tools.
#pragma once

#include <initializer_list>
#include <string>

namespace lanloom::os {

// Fetches it when need be. False: it cannot be had, and the test case has said that it is skipped. `finish` is a shell
// text for what the packages do when they are installed, run where they are unpacked.
bool partner(const std::string& program, std::initializer_list<const char*> packages, const std::string& finish = ":");

// On a host of one's own (own_host.hpp): lays what was unpacked over /usr, where programs are looked for.
void use_partner(const std::string& program);

}  // namespace lanloom::os
