// SPDX-License-Identifier: Apache-2.0
#include "joined.hpp"

#include <lanloom/app/doctor_checks.hpp>

#include <fnmatch.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>

namespace lanloom::app {

namespace {
namespace fs = std::filesystem;

constexpr const char* manager_id = "network-manager";
constexpr const char* networkd_id = "networkd";
constexpr std::size_t most_of_a_file = 64 * 1024;
constexpr std::size_t most_files = 256;

// State files of theirs, written by root; anything else reads as empty.
std::string text_of(const fs::path& file) {
  std::string text(most_of_a_file, '\0');
  std::ifstream in(file, std::ios::binary);
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(std::max<std::streamsize>(in.gcount(), 0)));
  return text;
}

bool has_line(const std::string& text, std::string_view line) {
  return ("\n" + text + "\n").find("\n" + std::string(line) + "\n") != std::string::npos;
}

// What stands behind KEY= in each line that has it.
std::vector<std::string> values_of(const std::string& text, const std::string& key) {
  std::vector<std::string> found;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with(key + "=")) found.push_back(line.substr(key.size() + 1));
  }
  return found;
}

std::vector<fs::path> files_in(const fs::path& directory, std::string_view extension) {
  std::vector<fs::path> found;
  std::error_code gone;
  for (fs::directory_iterator at(directory, gone), end; !gone && at != end; at.increment(gone)) {
    if (at->path().extension() == extension && found.size() < most_files) found.push_back(at->path());
  }
  return found;
}

// Those that are here; before a start those that will be, but for veth pairs: these NetworkManager leaves alone.
std::vector<std::string> asked_for(const examination& e) {
  std::vector<std::string> names;
  for (const auto& name : e.own_interfaces()) {
    const bool veth = name != e.file().tap.name && name != e.file().bridge.name;
    if (e.link(name) != nullptr || (!e.is_up() && !veth)) names.push_back(name);
  }
  return names;
}

// Interfaces that are here: what NetworkManager wrote of each. Interfaces to come: whether any file of its names them.
bool is_managed(const examination& e, const std::string& name) {
  if (const auto* l = e.link(name)) {
    return has_line(text_of("/run/NetworkManager/devices/" + std::to_string(l->index)), "managed=true");
  }
  for (const char* directory :
       {"/etc/NetworkManager/conf.d", "/run/NetworkManager/conf.d", "/usr/lib/NetworkManager/conf.d"}) {
    for (const auto& file : files_in(directory, ".conf")) {
      if (text_of(file).find("interface-name:" + name) != std::string::npos) return false;
    }
  }
  return true;
}

std::string file_command(const std::string& file, const std::string& lines, const std::string& then) {
  return "printf '" + lines + "' > " + file + " && " + then;
}

// The file of networkd that takes an interface: of one that is here by its state file, else by the names it asks for.
std::string networkd_file(const examination& e, const std::string& name) {
  if (const auto* l = e.link(name)) {
    const auto state = text_of("/run/systemd/netif/links/" + std::to_string(l->index));
    const auto files = values_of(state, "NETWORK_FILE");
    return has_line(state, "ADMIN_STATE=unmanaged") || files.empty() ? std::string() : files.front();
  }
  for (const char* directory : {"/etc/systemd/network", "/run/systemd/network", "/usr/lib/systemd/network"}) {
    for (const auto& file : files_in(directory, ".network")) {
      const auto text = text_of(file);
      if (has_line(text, "Unmanaged=yes")) continue;
      for (const auto& names : values_of(text, "Name")) {
        std::istringstream patterns(names);
        for (std::string p; patterns >> p;) {
          if (::fnmatch(p.c_str(), name.c_str(), 0) == 0) return file.string();
        }
      }
    }
  }
  return {};
}
// An uplink has its addresses from somewhere, and that would give it them again. `program` goes on managing it.
finding managed_uplink(const examination& e, const char* id, const std::string& program, const std::string& uplink) {
  const auto& bridge = e.file().bridge.name;
  return warn(
      id, program + " manages uplink " + uplink + ": it may give it its addresses again, or take it out of " + bridge,
      "have it make " + bridge + " itself, with port " + uplink + " and the addresses of " + uplink +
          "; then write create = false under [bridge], and no uplinks");
}
}  // namespace

findings check_network_manager(examination& e) {
  if (!fs::exists("/run/NetworkManager")) return {pass(manager_id, "NetworkManager does not run")};
  findings all;
  for (const auto& u : e.file().bridge.uplinks) {
    if (e.link(u) != nullptr && is_managed(e, u)) all.push_back(managed_uplink(e, manager_id, "NetworkManager", u));
  }
  std::vector<std::string> managed;
  bool here = true;
  for (const auto& name : asked_for(e)) {
    if (!is_managed(e, name)) continue;
    managed.push_back(name);
    here = here && e.link(name) != nullptr;
  }
  if (managed.empty() && all.empty()) all.push_back(pass(manager_id, "NetworkManager leaves our interfaces alone"));
  if (managed.empty()) return all;
  std::vector<std::string> matches;
  for (const auto& name : e.own_interfaces()) matches.push_back("interface-name:" + name);
  all.push_back(warn(manager_id,
                     "NetworkManager " + std::string(here ? "manages " : "will manage ") + joined(managed, ", ") +
                         ": it may take addresses away or take them off the bridge",
                     file_command("/etc/NetworkManager/conf.d/90-lanloom-" + e.file().instance + ".conf",
                                  "[device-lanloom-" + e.file().instance + "]\\nmatch-device=" + joined(matches, ";") +
                                      "\\nmanaged=0\\n",
                                  "nmcli general reload"),
                     here && os::find_program("nmcli").has_value()));
  return all;
}

// Until the interface goes; the file in the cure is for all times, and the user's.
std::vector<std::string> fix_network_manager(examination& e) {
  std::vector<std::string> done;
  for (const auto& name : e.own_interfaces()) {
    const auto* l = e.link(name);
    if (l == nullptr || !e.is_ours(*l) || !is_managed(e, name)) continue;
    const auto said = e.run("nmcli", {"device", "set", name, "managed", "no"});
    done.push_back(said && said->status == 0 ? "NetworkManager leaves " + name + " alone as long as it exists"
                                             : "nmcli device set " + name + " managed no: it failed");
  }
  return done;
}

findings check_networkd(examination& e) {
  if (!fs::exists("/run/systemd/netif/state")) return {pass(networkd_id, "systemd-networkd does not run")};
  findings all;
  for (const auto& u : e.file().bridge.uplinks) {
    if (e.link(u) != nullptr && !networkd_file(e, u).empty()) {
      all.push_back(managed_uplink(e, networkd_id, "systemd-networkd", u));
    }
  }
  std::vector<std::string> taken;
  for (const auto& name : asked_for(e)) {
    if (const auto file = networkd_file(e, name); !file.empty()) taken.push_back(name + " (" + file + ")");
  }
  if (taken.empty() && all.empty()) all.push_back(pass(networkd_id, "systemd-networkd leaves our interfaces alone"));
  if (taken.empty()) return all;
  all.push_back(
      warn(networkd_id,
           "systemd-networkd configures " + joined(taken, ", ") + ": it removes addresses that it does not know",
           file_command("/etc/systemd/network/05-lanloom-" + e.file().instance + ".network",
                        "[Match]\\nName=" + joined(e.own_interfaces(), " ") + "\\n[Link]\\nUnmanaged=yes\\n",
                        "networkctl reload")));
  return all;
}

}  // namespace lanloom::app
