// SPDX-License-Identifier: Apache-2.0
#include "host_name.hpp"

#include "privileges.hpp"
#include "terminal.hpp"

#include <lanloom/app/commands.hpp>
#include <lanloom/app/config.hpp>
#include <lanloom/app/control.hpp>
#include <lanloom/app/host.hpp>
#include <lanloom/app/instance_directory.hpp>
#include <lanloom/app/status.hpp>
#include <lanloom/crypto/random.hpp>
#include <lanloom/os/clock.hpp>
#include <lanloom/os/listener.hpp>

#include <fcntl.h>
#include <sys/stat.h>
#include <nlohmann/json.hpp>

#include <array>
#include <csignal>
#include <functional>
#include <iostream>
#include <stdexcept>
#include <thread>

namespace lanloom::app {

namespace {

constexpr std::chrono::milliseconds poll_pause{20};
constexpr std::chrono::seconds down_deadline{15};
constexpr std::chrono::seconds reload_deadline{15};

std::string require_instance(const std::filesystem::path& file) {
  const auto instance = instance_of(file);
  if (!instance) {
    throw usage_error(file.stem().string() +
                      ": is no instance name; one has 1 to 12 characters, each a small letter, a digit or a hyphen");
  }
  return *instance;
}

// The instance that `word` means; without a word the only one that has a file with this extension and runs.
std::string one_instance(const std::string& word, const char* extension,
                         const std::function<bool(const std::string&)>& runs) {
  if (!word.empty()) return require_instance(config_path(word));
  std::vector<std::string> found;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(instance_directory, ignored)) {
    if (entry.path().extension() != extension) continue;
    const auto instance = instance_of(entry.path());
    if (instance && runs(*instance)) found.push_back(*instance);
  }
  if (found.empty()) throw not_running("no instance runs here; start one with `lanloom up CONFIG`");
  if (found.size() == 1) return found.front();
  std::string names;
  for (const auto& one : found) names += (names.empty() ? "" : ", ") + one;
  throw usage_error("several instances run here (" + names + "): name one");
}

// One that answers us.
std::string answering_instance(const std::string& word) {
  std::optional<permission_error> refused;
  try {
    return one_instance(word, ".sock", [&refused](const std::string& instance) {
      try {
        return static_cast<bool>(connect_control(control_path(instance)));
      } catch (const permission_error& e) {
        refused = e;
        return false;
      }
    });
  } catch (const not_running&) {
    if (refused) throw permission_error(*refused);
    throw;
  }
}

std::string lock_path(const std::string& instance) { return instance_directory / (instance + ".lock"); }

std::runtime_error does_not_end(const std::string& instance) {
  const auto keeper = os::instance_lock::holder(lock_path(instance)).value_or(0);
  const auto pid = std::to_string(keeper);
  return std::runtime_error(instance + ": does not end; see its log" +
                            (keeper == 0 ? "" : ", or run: kill -KILL " + pid + ", and this command again"));
}

// Ends the keeper of a running instance; the result is the lock that it held.
os::instance_lock stop_holder(const std::string& instance) {
  const time_point deadline = os::monotonic_now() + down_deadline;
  bool asked = false;
  for (;;) {
    const auto keeper = asked ? std::nullopt : os::instance_lock::holder(lock_path(instance));
    if (keeper == 0) throw std::runtime_error(instance + ": runs where this command cannot reach it; stop it there");
    if (keeper) {
      asked = ::kill(*keeper, SIGTERM) == 0;
      if (!asked && errno != ESRCH) os::throw_errno(instance + ": stop process " + std::to_string(*keeper));
    }
    if (auto lock = os::instance_lock::try_acquire(lock_path(instance))) return std::move(*lock);
    if (os::monotonic_now() >= deadline) throw does_not_end(instance);
    std::this_thread::sleep_for(poll_pause);
  }
}

// Half a key is worse than none.
void write_secret_file(const std::filesystem::path& file, const std::string& line) {
  const os::unique_fd fd(::open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!fd && errno == EEXIST) {
    throw std::runtime_error(file.string() + ": exists already; remove it first if no host uses it");
  }
  if (!fd) os::throw_errno(file.string());
  const ssize_t written = ::write(fd.get(), line.data(), line.size());
  if (written == static_cast<ssize_t>(line.size())) return;
  const int error = written < 0 ? errno : ENOSPC;
  ::unlink(file.c_str());
  os::throw_errno(file.string() + ": the key could not be written, so the file was removed", error);
}

// What a running instance says of itself; one that does not run yet has until the deadline.
nlohmann::ordered_json ask_status(const std::string& word, time_point deadline) {
  for (;;) {
    try {
      return nlohmann::ordered_json::parse(ask(control_path(answering_instance(word)), "/v1/status"));
    } catch (const not_running&) {
      if (os::monotonic_now() >= deadline) throw;
    }
    std::this_thread::sleep_for(poll_pause);
  }
}

void wipe_text(std::string& text) {
  crypto::wipe(bytes_span(reinterpret_cast<std::uint8_t*>(text.data()), text.size()));
}

void print(const std::string& text) {
  std::cout << text << std::flush;
  if (!std::cout) throw std::runtime_error("cannot write the result to stdout");
}

// In ASCII alone: the node that sent this may be in an attacker's hand, and what we print goes to root's terminal.
std::string json_text(const nlohmann::ordered_json& value, int indent) { return value.dump(indent, ' ', true) + "\n"; }

}  // namespace

int check(const std::string& word) {
  const auto file = config_path(word);
  const config c = load_config(file, host_name());
  static_cast<void>(load_keys(c));
  print(file.string() + ": good\n");
  return 0;
}

int genkey(const std::optional<std::filesystem::path>& file) {
  crypto::random source;
  const auto keys = crypto::make_key_pair(source);
  std::string text = crypto::to_base64(keys.secret_half) + "\n";
  if (file) {
    write_secret_file(*file, text);
    print(crypto::to_base64(keys.public_half) + "\n");
  } else {
    print(text);
  }
  wipe_text(text);
  return 0;
}

int pubkey() {
  std::string text;
  std::getline(std::cin, text);
  const auto key = crypto::parse_secret(text);
  wipe_text(text);
  if (!key)
    throw std::runtime_error("stdin: not a private key; expected 44 characters of base64, as `lanloom genkey` prints");
  print(crypto::to_base64(crypto::derive_public(*key)) + "\n");
  return 0;
}

int genpsk() {
  crypto::random source;
  crypto::secret<32> key;
  source.fill(key.writable());
  std::string text = crypto::to_base64(key) + "\n";
  print(text);
  wipe_text(text);
  return 0;
}

int status(const std::string& word, const status_options& options) {
  const time_point deadline = os::monotonic_now() + std::chrono::seconds{options.wait_seconds.value_or(0)};
  for (;;) {
    const auto now = ask_status(word, deadline);
    if (options.wait_seconds) {
      const bool established = all_established(now);
      if (!established && os::monotonic_now() < deadline) {
        std::this_thread::sleep_for(poll_pause);
        continue;
      }
      print(options.json ? json_text(now, 2) : status_text(now, colour_wanted()));
      return established ? 0 : 6;
    }
    if (options.watch && colour_wanted()) print("\033[H\033[2J");
    print(options.json ? json_text(now, options.watch ? -1 : 2) : status_text(now, colour_wanted()));
    if (!options.watch) return 0;
    std::this_thread::sleep_for(std::chrono::seconds{1});
  }
}

int fdb(const std::string& word, bool json) {
  const auto table = nlohmann::ordered_json::parse(ask(control_path(answering_instance(word)), "/v1/fdb"));
  print(json ? json_text(table, 2) : fdb_text(table));
  return 0;
}

int reload(const std::string& word) {
  const std::string instance = answering_instance(word);
  const auto ask_config = [&] {
    return nlohmann::ordered_json::parse(ask(control_path(instance), "/v1/status")).at("config");
  };
  const auto before = ask_config();
  static_cast<void>(load_keys(load_config(before.at("file").get<std::string>(), host_name())));
  const auto keeper = os::instance_lock::holder(lock_path(instance));
  if (!keeper) throw not_running(instance + ": has ended meanwhile");
  if (*keeper == 0) throw std::runtime_error(instance + ": runs where this command cannot reach it; reload it there");
  if (::kill(*keeper, SIGUSR1) != 0) os::throw_errno(instance + ": signal process " + std::to_string(*keeper));
  const time_point deadline = os::monotonic_now() + reload_deadline;
  for (;;) {
    const auto now = ask_config();
    if (now.at("reloads") != before.at("reloads")) {
      if (!now.at("error").is_null()) throw std::runtime_error(instance + ": " + printable(now.at("error")));
      std::cerr << instance << ": reloaded\n";
      return 0;
    }
    if (os::monotonic_now() >= deadline)
      throw std::runtime_error(instance + ": does not answer the reload; see its log");
    std::this_thread::sleep_for(poll_pause);
  }
}

int down(const std::string& word, bool force) {
  require(capability::net_admin, "`lanloom down`");
  const std::string instance = one_instance(
      word, ".lock", [](const std::string& one) { return os::instance_lock::holder(lock_path(one)).has_value(); });
  const std::string lock_file = lock_path(instance);
  host on(instance, instance_directory);
  if (!std::filesystem::exists(lock_file) && !std::filesystem::exists(control_path(instance)) && !on.has_leftovers()) {
    std::cerr << instance << ": nothing to remove\n";
    return 0;
  }
  make_instance_directory();
  auto lock = os::instance_lock::try_acquire(lock_file);
  const bool ran = !lock;
  if (ran) lock = stop_holder(instance);
  const undo_report report = on.undo(force);
  std::error_code ignored;
  std::filesystem::remove(control_path(instance), ignored);
  for (const auto& line : report.removed) std::cerr << instance << ": removed " << line << '\n';
  for (const auto& line : report.left) std::cerr << instance << ": " << line << '\n';
  for (const auto& line : report.failed) std::cerr << instance << ": " << line << '\n';
  if (!ran && report.removed.empty() && report.left.empty() && report.failed.empty()) {
    std::cerr << instance << ": nothing to remove\n";
  }
  return report.failed.empty() ? 0 : 1;
}

}  // namespace lanloom::app
