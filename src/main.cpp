// SPDX-License-Identifier: Apache-2.0
// main.cpp - the command line: arguments to commands, errors to one sentence and an exit status.
//
// 0 ok, 1 failure at run time, 2 usage, 3 configuration invalid, 4 missing permission, 5 daemon not running, 6 peer
// unreachable. One of the few places where exceptions end (ARCHITECTURE.md).
#include <lanloom/app/attach.hpp>
#include <lanloom/app/commands.hpp>
#include <lanloom/app/config_error.hpp>
#include <lanloom/app/control.hpp>
#include <lanloom/app/doctor.hpp>
#include <lanloom/app/host.hpp>
#include <lanloom/app/keeper.hpp>
#include <lanloom/crypto/keys.hpp>

#include <CLI/CLI.hpp>

#include <fcntl.h>
#include <unistd.h>

#include <csignal>
#include <iostream>

namespace {

namespace app = lanloom::app;

enum exit_status : int { ok = 0, failure = 1, usage = 2, bad_config = 3, no_permission = 4, not_running = 5 };

// Arguments of all commands; each subcommand fills its own.
struct arguments {
  std::string word;
  std::string file;
  bool dry_run = false;
  bool force = false;
  bool keep = false;
  bool json = false;
  bool verbose = false;
  bool quiet = false;
  app::status_options status;
  app::attach_options attach;
  app::doctor_options doctor;
};

// Somebody's variable that is not set.
CLI::Validator not_empty() {
  return {[](const std::string& word) { return word.empty() ? "must not be empty" : ""; }, ""};
}

class command_line {
 public:
  command_line() {
    cli_.require_subcommand(1);
    cli_.set_version_flag("--version", "lanloom " LANLOOM_VERSION);
    cli_.failure_message(CLI::FailureMessage::simple);
    cli_.add_flag("-v,--verbose", a_.verbose, "log more");
    cli_.add_flag("-q,--quiet", a_.quiet, "log errors only");
    add_running_commands();
    add_key_commands();
    add_questions();
  }

  int run(int argc, char** argv) {
    try {
      cli_.parse(argc, argv);
    } catch (const CLI::Success& e) {  // --help, --version
      return cli_.exit(e);
    } catch (const CLI::ParseError& e) {
      throw app::usage_error(complaint(e) + "; see lanloom --help");
    }
    lanloom::crypto::initialise();
    return chosen_();
  }

 private:
  // What is there and should not be says more than what is missing.
  [[nodiscard]] std::string complaint(const CLI::ParseError& e) const {
    const auto left = cli_.remaining(true);
    const bool chosen = !cli_.get_subcommands().empty();
    if (left.empty()) return chosen ? e.what() : "a command is missing";
    if (left.front().starts_with('-')) return "there is no option `" + left.front() + "`";
    return (chosen ? "there is one argument too many: `" : "there is no command `") + left.front() + "`";
  }

  CLI::App* add(const char* name, const char* what, std::function<int()> run) {
    CLI::App* sub = cli_.add_subcommand(name, what);
    sub->fallthrough();
    sub->callback([this, run = std::move(run)] { chosen_ = run; });
    return sub;
  }

  void add_running_commands() {
    auto* up = add("up", "make the host as CONFIG says and run until interrupted; undo everything", [this] {
      if (a_.dry_run) {
        app::print_plan(app::config_path(a_.word));
        return 0;
      }
      auto asked = app::verbosity::as_configured;
      if (a_.verbose) asked = app::verbosity::verbose;
      if (a_.quiet) asked = app::verbosity::quiet;
      return app::up(app::config_path(a_.word), asked, a_.keep);
    });
    up->add_option("CONFIG", a_.word, "configuration file, or the name of one in /etc/lanloom")
        ->required()
        ->check(not_empty());
    auto* dry = up->add_flag("--dry-run", a_.dry_run, "print the plan, change nothing");
    up->add_flag("--keep", a_.keep, "leave the host set up at the end, for the next start to adopt")->excludes(dry);

    auto* down =
        add("down", "stop an instance and remove everything it left", [this] { return app::down(a_.word, a_.force); });
    down->add_option("CONFIG|INSTANCE", a_.word, "default: the only running instance")->check(not_empty());
    down->add_flag("--force", a_.force,
                   "remove also what others use: bridges with their ports, namespaces with processes");

    auto* reload = add("reload", "apply the changed configuration file", [this] { return app::reload(a_.word); });
    reload->add_option("INSTANCE", a_.word, "default: the only running instance")->check(not_empty());

    add_wiring_commands();

    auto* check = add("check", "validate a configuration file and its keys", [this] { return app::check(a_.word); });
    check->add_option("CONFIG", a_.word, "configuration file, or the name of one in /etc/lanloom")
        ->required()
        ->check(not_empty());
  }

  void add_wiring_commands() {
    auto& to = a_.attach;
    const auto places = [this, &to](CLI::App* command) {
      command->add_option("INSTANCE", to.instance, "a running instance")->required()->check(not_empty());
      command->add_option("NETNS", to.netns, "its name, or a path such as /proc/PID/ns/net")
          ->required()
          ->check(not_empty());
    };
    auto* attach =
        add("attach", "wire a network namespace to the bridge, live", [this] { return app::attach(a_.attach); });
    places(attach);
    attach->add_option("--address", to.addresses, "with the length of its subnet, such as 10.5.0.12/16")->required();
    attach->add_option("--interface", to.interface, "inside the namespace; default: eth0");
    attach->add_option("--gateway", to.gateways, "of its default route, one per family");
    places(add("detach", "undo `attach`", [this] { return app::detach(a_.attach.instance, a_.attach.netns); }));
  }

  void add_key_commands() {
    auto* genkey = add("genkey", "print a new private key", [this] {
      return app::genkey(a_.file.empty() ? std::nullopt : std::optional<std::filesystem::path>(a_.file));
    });
    genkey->add_option("-o", a_.file, "write it to this new file (mode 0600) and print the public key");
    add("pubkey", "read a private key on stdin, print its public key", [] { return app::pubkey(); });
    add("genpsk", "print a new preshared key or network secret", [] { return app::genpsk(); });
  }

  void add_questions() {
    auto* status = add("status", "node, TAP, bridge, peers and drops of a running instance", [this] {
      a_.status.json = a_.json;
      return app::status(a_.word, a_.status);
    });
    status->add_option("INSTANCE", a_.word, "default: the only running instance")->check(not_empty());
    status->add_flag("--json", a_.json, "print JSON");
    auto* watch = status->add_flag("--watch", a_.status.watch, "print again every second");
    status
        ->add_option_function<unsigned>(
            "--wait", [this](unsigned seconds) { a_.status.wait_seconds = seconds; },
            "wait until every peer with an endpoint is established, at most this many seconds; else exit with 6")
        ->excludes(watch);

    auto* fdb =
        add("fdb", "MAC addresses, where they live, and their age", [this] { return app::fdb(a_.word, a_.json); });
    fdb->add_option("INSTANCE", a_.word, "default: the only running instance")->check(not_empty());
    fdb->add_flag("--json", a_.json, "print JSON");

    auto* doctor = add("doctor", "find what silently breaks an overlay on this host, and print the cure", [this] {
      a_.doctor.json = a_.json;
      return app::doctor(a_.word, a_.doctor);
    });
    doctor->add_option("CONFIG|INSTANCE", a_.word, "default: the only running instance, else the host alone")
        ->check(not_empty());
    doctor->add_flag("--json", a_.json, "print JSON");
    doctor->add_flag("--fix", a_.doctor.fix, "apply the cures that `lanloom down` undoes");
  }

  CLI::App cli_{"lanloom weaves the Linux bridges of many hosts into one Ethernet.", "lanloom"};
  arguments a_;
  std::function<int()> chosen_;
};

int complain(const std::exception& e, int status) {
  std::cerr << "lanloom: " << e.what() << '\n';
  return status;
}

// The next file we open must not get the number of a standard stream that is closed: we would write our words into it.
// Opened for reading, so that a result that goes nowhere is an error.
void fill_standard_streams() {
  int fd = 0;
  while (fd >= 0 && fd <= STDERR_FILENO) fd = ::open("/dev/null", O_RDONLY);
  if (fd > STDERR_FILENO) ::close(fd);
}

}  // namespace

int main(int argc, char** argv) {
  fill_standard_streams();
  std::signal(SIGCHLD, SIG_DFL);  // inherited as ignored, it would take our children's status away
  try {
    return command_line().run(argc, argv);
  } catch (const app::usage_error& e) {
    return complain(e, usage);
  } catch (const app::config_error& e) {
    std::cerr << e.what() << '\n';
    return bad_config;
  } catch (const app::permission_error& e) {
    return complain(e, no_permission);
  } catch (const app::not_running& e) {
    return complain(e, not_running);
  } catch (const std::system_error& e) {
    const bool rights = e.code() == std::errc::operation_not_permitted || e.code() == std::errc::permission_denied;
    return complain(e, rights ? no_permission : failure);
  } catch (const std::exception& e) {
    return complain(e, failure);
  }
}
