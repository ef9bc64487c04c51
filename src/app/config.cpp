// SPDX-License-Identifier: Apache-2.0
#include <lanloom/app/config.hpp>
#include <lanloom/app/permission_error.hpp>
#include <lanloom/app/secret_file.hpp>

#include "config_reader.hpp"
#include "config_rules.hpp"
#include "config_values.hpp"
#include "problem_list.hpp"

#include <lanloom/os/unique_fd.hpp>

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdio>
#include <utility>

namespace lanloom::app {

namespace {

constexpr std::size_t largest_file = 1 << 20;

std::string joined(const std::vector<problem>& problems) {
  std::string text;
  for (const auto& p : problems) text += (text.empty() ? "" : "\n") + to_string(p);
  return text;
}

std::vector<problem> sorted(std::vector<problem> problems) {
  std::stable_sort(problems.begin(), problems.end(), [](const problem& a, const problem& b) {
    return std::pair(a.line, a.column) < std::pair(b.line, b.column);
  });
  return problems;
}

[[noreturn]] void refuse_file(const std::filesystem::path& file, std::string message) {
  throw config_error({{file, 0, 0, std::move(message)}});
}

std::string read_whole(const std::filesystem::path& file) {
  const os::unique_fd fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd) {
    const int reason = errno;
    if (reason == ENOENT) refuse_file(file, "there is no such file; conf/lanloom.toml shows what it contains");
    const auto refusal =
        "it cannot be opened (" + std::system_category().message(reason) + "); correct its mode, or run this as root";
    if (reason == EACCES || reason == EPERM) throw permission_error(file.string() + ": " + refusal);
    refuse_file(file, refusal);
  }
  struct stat status {};
  if (::fstat(fd.get(), &status) != 0 || !S_ISREG(status.st_mode))
    refuse_file(file, "it is not a regular file; name the configuration file");
  std::string text(largest_file + 1, '\0');
  std::size_t size = 0;
  while (size < text.size()) {
    const auto n = ::read(fd.get(), text.data() + size, text.size() - size);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) refuse_file(file, "it cannot be read (" + std::system_category().message(errno) + "); check the disk");
    if (n == 0) break;
    size += static_cast<std::size_t>(n);
  }
  if (size > largest_file) refuse_file(file, "it is larger than 1 MiB; no configuration is: name the right file");
  text.resize(size);
  return text;
}

}  // namespace

std::string derived_host_interface(std::string_view instance, std::string_view netns) {
  std::uint32_t hash = 2166136261U;
  const auto mix = [&hash](std::string_view text) {
    for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 16777619U;
  };
  mix(instance);
  mix("/");
  mix(netns);
  char digits[8];
  std::snprintf(digits, sizeof digits, "%06x", hash & 0xffffffU);
  return "lv" + std::string(netns.substr(0, 6)) + "-" + digits;
}

std::string to_string(const problem& p) {
  std::string place = p.file.string();
  if (p.line != 0) place += ":" + std::to_string(p.line) + ":" + std::to_string(p.column);
  return place + ": " + p.message;
}

config_error::config_error(std::vector<problem> found)
    : std::runtime_error(joined(sorted(found))), problems(sorted(std::move(found))) {}

void source_map::set(std::string path, position at) { places_.insert_or_assign(std::move(path), at); }

position source_map::find(std::string_view path) const {
  while (!path.empty()) {
    if (const auto at = places_.find(path); at != places_.end()) return at->second;
    const auto end = path.find_last_of(".[");
    path = path.substr(0, end == std::string_view::npos ? 0 : end);
  }
  return {};
}

config parse_config(std::string_view text, const std::filesystem::path& file, std::string_view host_name) {
  problem_list problems(file);
  config c;
  c.file = file;
  if (const auto instance = instance_of(file)) {
    c.instance = *instance;
  } else {
    problems.add({}, "the instance is the file's name without .toml, and " + in_quotes(file.stem().string()) +
                         " is none; rename the file to 1 to 12 of a-z, 0-9 and -");
    c.instance = "unnamed";
  }
  c.node.listen.port = 4780;
  c.node.network = "lan";
  c.node.state = "/var/lib/lanloom/" + c.instance;
  c.tap.name = "ll-" + c.instance;
  c.bridge.name = "br-" + c.instance;
  c.control_group = "lanloom";

  read_config(text, c, problems);

  std::string why;
  if (c.node.name.empty() && problems.sound("node.name")) {
    if (const auto name = parse_name(host_name, why)) {
      c.node.name = *name;
    } else {
      problems.add(c.where.find("node"),
                   "the host name " + in_quotes(host_name) + " cannot be the node's name; add name = to [node]");
    }
  }
  for (std::size_t i = 0; i < c.netns.size(); ++i) {
    auto& n = c.netns[i];
    const auto path = "netns[" + std::to_string(i) + "].host_interface";
    if (n.host_interface.empty() && problems.sound(path) && !n.name.empty())
      n.host_interface = derived_host_interface(c.instance, n.name);
  }
  check_rules(c, problems);
  problems.throw_if_any();
  return c;
}

config load_config(const std::filesystem::path& file, std::string_view host_name) {
  return parse_config(read_whole(file), file, host_name);
}

key_material load_keys(const config& c) {
  problem_list problems(c.file);
  const auto read = [&](const std::filesystem::path& file, secret_kind kind,
                        const std::string& key) -> std::optional<crypto::secret<32>> {
    try {
      return read_secret_file(file, kind);
    } catch (const secret_file_error& e) {
      problems.add(c.where.find(key), e.what());
      return std::nullopt;
    }
  };

  key_material keys;
  if (auto own = read(c.node.private_key, secret_kind::private_key, "node.private_key")) {
    keys.private_key = std::move(*own);
    keys.own = crypto::derive_public(keys.private_key);
    for (std::size_t i = 0; i < c.peers.size(); ++i) {
      if (c.peers[i].public_key != keys.own) continue;
      problems.add(c.where.find("peer[" + std::to_string(i) + "].public_key"),
                   "peer " + in_quotes(c.peers[i].name) +
                       " has our own key; write the one that `lanloom pubkey` prints on that host");
    }
  }
  if (c.node.network_secret)
    keys.network_secret = read(*c.node.network_secret, secret_kind::shared_secret, "node.network_secret");
  for (std::size_t i = 0; i < c.peers.size(); ++i) {
    auto& slot = keys.preshared_keys.emplace_back();
    if (const auto& file = c.peers[i].preshared_key) {
      slot = read(*file, secret_kind::shared_secret, "peer[" + std::to_string(i) + "].preshared_key");
    }
  }
  problems.throw_if_any();
  return keys;
}

std::filesystem::path config_path(std::string_view word) {
  if (word.find('/') != std::string_view::npos || word.ends_with(".toml")) return word;
  return std::filesystem::path("/etc/lanloom") / (std::string(word) + ".toml");
}

std::optional<std::string> instance_of(const std::filesystem::path& file) {
  const auto stem = file.stem().string();
  const auto fits = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'; };
  if (stem.empty() || stem.size() > 12 || !std::all_of(stem.begin(), stem.end(), fits)) return std::nullopt;
  return stem;
}

}  // namespace lanloom::app
