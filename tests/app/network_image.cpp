// SPDX-License-Identifier: Apache-2.0
#include "network_image.hpp"

#include <lanloom/os/sysctl.hpp>

#include "os/own_host.hpp"

#include <algorithm>
#include <iterator>
#include <sstream>
#include <string_view>

namespace lanloom::app {

namespace {
constexpr std::string_view setting_mark = "sysctl ";

void add_lines(network_image& image, const std::string& what, const std::string& command) {
  std::istringstream text(os::output_of(command));
  for (std::string line; std::getline(text, line);) image.push_back(what + " " + line);
}
}  // namespace

network_image take_network_image() {
  network_image image;
  // Counters, operational state and ages are not part of it.
  add_lines(image, "link",
            "ip -o -d link | sed -E 's/^[0-9]+: //; s/ state [A-Z]+//; s/,?(LOWER_UP|NO-CARRIER),?//g; "
            "s/[a-z_]*timer +[0-9.]+//g; s/qdisc [a-z]+//; s/linkmode [A-Z]+//' | tr '\\\\' ' '");
  add_lines(image, "address", "ip -o addr | sed -E 's/^[0-9]+: //; s/valid_lft.*//; s/ tentative//'");
  add_lines(image, "route", "ip -4 route show table all; ip -6 route show table all");
  add_lines(image, "rule", "ip -4 rule; ip -6 rule");
  add_lines(image, "neighbour", "ip neigh show nud permanent");
  add_lines(image, "netns", "ls /run/netns 2>/dev/null");
  add_lines(image, "nft", "nft -s list ruleset");
  for (const char* directory : {"net/ipv4", "net/ipv6"}) {
    for (const auto& key : os::list_sysctls(directory)) {
      std::string value;
      try {
        value = os::read_sysctl(key).value_or("unset");
      } catch (const std::exception&) {
        continue;
      }
      image.push_back(std::string(setting_mark) + key + " = " + value);
    }
  }
  std::sort(image.begin(), image.end());
  return image;
}

std::string difference(const network_image& before, const network_image& after) {
  network_image gone;
  network_image come;
  std::set_difference(before.begin(), before.end(), after.begin(), after.end(), std::back_inserter(gone));
  std::set_difference(after.begin(), after.end(), before.begin(), before.end(), std::back_inserter(come));
  std::string text;
  for (const auto& line : gone) text += "- " + line + "\n";
  for (const auto& line : come) {
    if (line.rfind(setting_mark, 0) != 0) text += "+ " + line + "\n";
  }
  return text;
}

}  // namespace lanloom::app
