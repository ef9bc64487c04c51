// SPDX-License-Identifier: Apache-2.0
#include "partner.hpp"

#include <doctest/doctest.h>

#include <lanloom/os/program.hpp>

#include <sys/mount.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <iostream>

namespace lanloom::os {

namespace {
std::string place_of(const std::string& program) { return LANLOOM_SOURCE_DIR "/build/tools/" + program; }
}  // namespace

bool partner(const std::string& program, std::initializer_list<const char*> packages, const std::string& finish) {
  const auto place = place_of(program);
  if (find_program(program) || std::filesystem::exists(place)) return true;
  const auto unfinished = place + "." + std::to_string(::getpid());
  std::string fetch =
      "exec >/dev/null 2>&1; set -e; mkdir -p '" + unfinished + "'; cd '" + unfinished + "'; apt-get download";
  for (const auto* package : packages) fetch += std::string(" ") + package;
  fetch += "; for deb in *.deb; do dpkg -x \"$deb\" .; done; rm ./*.deb; " + finish + "; cd /; mv -T '" + unfinished +
           "' '" + place + "'";
  if (std::system(fetch.c_str()) == 0) return true;
  std::filesystem::remove_all(unfinished);
  if (std::filesystem::exists(place)) return true;  // another test was faster
  std::cout << "skip " << doctest::getContextOptions()->currentTest->m_name << ": " << program
            << " is neither installed nor to be downloaded\n";
  return false;
}

void use_partner(const std::string& program) {
  if (find_program(program)) return;
  const auto layers = "lowerdir=" + place_of(program) + "/usr:/usr";
  REQUIRE(::mount("overlay", "/usr", "overlay", MS_RDONLY, layers.c_str()) == 0);
  REQUIRE(find_program(program));
}

}  // namespace lanloom::os
