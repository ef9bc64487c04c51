// SPDX-License-Identifier: Apache-2.0
#include "partner.hpp"

#include <doctest/doctest.h>

#include <sys/mount.h>

#include <cstdlib>
#include <filesystem>
#include <iostream>

namespace lanloom::os {

namespace {
const std::string source = LANLOOM_SOURCE_DIR;
}  // namespace

bool partner::have() const {
  if (std::filesystem::exists(program)) return true;
  const auto fetch = "bash -c '. " + source + "/packaging/partners.sh && partner " + package + " " + program +
                     " && cd " + source + "/build/tools/" + package + " && " + finish + "'";
  if (std::system(fetch.c_str()) == 0) return true;
  std::cout << "skip " << doctest::getContextOptions()->currentTest->m_name << ": " << package
            << " is neither installed nor to be downloaded\n";
  return false;
}

void partner::use() const {
  if (std::filesystem::exists(program)) return;
  const auto layers = "lowerdir=" + source + "/build/tools/" + package + "/usr:/usr";
  REQUIRE(::mount("overlay", "/usr", "overlay", MS_RDONLY, layers.c_str()) == 0);
  REQUIRE(std::filesystem::exists(program));
}

}  // namespace lanloom::os
