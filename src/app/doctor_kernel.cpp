// SPDX-License-Identifier: Apache-2.0
#include "privileges.hpp"

#include <lanloom/app/doctor_checks.hpp>
#include <lanloom/app/offloads.hpp>
#include <lanloom/crypto/aead.hpp>
#include <lanloom/crypto/gcm_engine.hpp>
#include <lanloom/os/clock.hpp>
#include <lanloom/os/unique_fd.hpp>

#include <fcntl.h>
#include <sys/stat.h>

#include <charconv>
#include <cstring>

namespace lanloom::app {

namespace {
constexpr const char* tun_device = "/dev/net/tun";
constexpr unsigned oldest_nft = 1;

const std::string install_nft = "apt-get install nftables";

// 2024-01-01: no clock that was ever set is behind the first version of this program.
constexpr std::chrono::seconds earliest{1704067200};

// The major number in "nftables v1.0.6 (Lester Gooch #5)".
std::optional<unsigned> major_of(const std::string& version) {
  const auto v = version.find(" v");
  if (v == std::string::npos) return std::nullopt;
  unsigned major = 0;
  const auto* first = version.data() + v + 2;
  if (std::from_chars(first, version.data() + version.size(), major).ec != std::errc{}) return std::nullopt;
  return major;
}
}  // namespace

findings check_tun(examination&) {
  constexpr const char* id = "tun-device";
  struct stat found {};
  if (::stat(tun_device, &found) != 0 || !S_ISCHR(found.st_mode)) {
    return {fail(id, "there is no /dev/net/tun, so no TAP can be made",
                 "modprobe tun; [ -c /dev/net/tun ] || { mkdir -p /dev/net && mknod /dev/net/tun c 10 200; }")};
  }
  if (os::unique_fd(::open(tun_device, O_RDWR | O_CLOEXEC))) return {pass(id, "/dev/net/tun can be opened")};
  const int error = errno;
  const std::string what = std::string("/dev/net/tun cannot be opened: ") + std::strerror(error);
  if (error == EACCES && ::geteuid() != 0) return {warn(id, what, "sudo lanloom doctor")};
  return {fail(id, what, error == EPERM ? "allow the device c 10:200 to this container or unit" : "modprobe tun")};
}

findings check_capabilities(examination&) {
  constexpr const char* id = "capabilities";
  std::string missing;
  std::string options;
  for (const auto c : {capability::net_admin, capability::sys_admin, capability::setuid, capability::setgid,
                       capability::setpcap, capability::kill}) {
    if (may(c)) continue;
    missing += (missing.empty() ? "" : ", ") + name_of(c);
    options += " " + name_of(c);
  }
  if (missing.empty()) return {pass(id, "this caller may do everything that `lanloom up` does")};
  if (::geteuid() != 0) return {warn(id, "this caller lacks " + missing, "sudo lanloom doctor")};
  return {fail(id, "root lacks " + missing + " here, which `lanloom up` needs",
               "run it where root has them (systemd unit: CapabilityBoundingSet=" + options.substr(1) + ")")};
}

finding judge_node_user(const os::sandbox_identity& identity) {
  constexpr const char* id = "node-user";
  if (!identity.is_nobody()) return pass(id, "a node that starts now runs as user lanloom");
  return warn(
      id,
      "this host has no user lanloom (or root is its user or group), so the node runs as nobody (65534): any other "
      "process of nobody may stop or kill it",
      "useradd --system --no-create-home --shell /usr/sbin/nologin lanloom, and start the instance anew");
}

findings check_node_user(examination&) { return {judge_node_user(os::find_identity())}; }

finding judge_nft(const std::string& version, bool needed) {
  constexpr const char* id = "nft";
  if (version.empty()) {
    const std::string what = "the program nft is not installed";
    return needed ? fail(id, what + ", and [nat] or [forwarding] needs it", install_nft) : warn(id, what, install_nft);
  }
  const auto line = version.substr(0, version.find('\n'));
  const auto major = major_of(line);
  if (!major) return warn(id, "nft does not say its version", install_nft);
  if (*major < oldest_nft) return fail(id, line + " is too old: 1.0 or newer is needed", install_nft);
  return pass(id, line);
}

findings check_nft(examination& e) {
  const bool needed =
      e.has_file() && (e.file().forwarding.ipv4 || e.file().forwarding.ipv6 || !e.file().nat.masquerade.empty() ||
                       !e.file().nat.snat.empty() || !e.file().nat.forward.empty());
  const auto said = e.run("nft", {"--version"});
  return {judge_nft(said ? said->output + " " : "", needed)};
}

findings judge_offloads(const std::optional<os::kernel_offloads>& found) {
  if (!found) {
    return {warn("kernel-tap", "could not try: this caller can make no network namespace", "sudo lanloom doctor"),
            warn("kernel-udp", "could not try: this caller can make no network namespace", "sudo lanloom doctor")};
  }
  const std::string newer = "run a newer kernel: ";
  findings all;
  if (!found->tap.checksum) {
    all.push_back(warn("kernel-tap", "no TAP could be made to try it with, or it takes whole frames only",
                       "sudo lanloom doctor"));
  } else if (!found->tap.tcp4 || !found->tap.tcp6) {
    all.push_back(warn("kernel-tap", "a TAP takes no TCP super-frames here: each frame costs its own way",
                       newer + "TCP offload of TAP is as old as 2.6.27"));
  } else if (!found->tap.udp) {
    all.push_back(warn("kernel-tap", "a TAP takes TCP super-frames, but no UDP ones: only UDP in bulk is slower",
                       newer + "6.2 has them"));
  } else {
    all.push_back(pass("kernel-tap", "a TAP takes TCP and UDP super-frames"));
  }
  if (found->udp_gso && found->udp_gro) {
    all.push_back(pass("kernel-udp", "UDP sockets send and receive trains of datagrams (GSO, GRO)"));
  } else {
    all.push_back(warn("kernel-udp",
                       std::string("UDP sockets have no ") + (found->udp_gso ? "GRO" : "GSO") +
                           " here that works: each datagram costs its own way",
                       newer + "5.0 has both, but 7.0 to 7.1.4 corrupt trains"));
  }
  return all;
}

// At the end of a start it has been tried, and what is missing is said.
findings check_offloads(examination& e) {
  if (e.when() == occasion::starting) return {};
  return judge_offloads(os::offload_probe().answer());
}

finding judge_cipher(cipher_choice choice, offload_choice wish, bool has_aes) {
  constexpr const char* id = "cipher";
  const auto engine = crypto::gcm_engine::choose(accelerator_by(wish));
  const std::string why(engine.reason());
  if (wish == offload_choice::on && !engine.accelerated()) {
    return fail(id, "libipsec-mb cannot be used, because " + why + ", and [offload] accelerator = \"on\" asks for it",
                "write [offload] accelerator = \"auto\"");
  }
  if (has_aes) {
    if (choice == cipher_choice::chacha20_poly1305) {
      return pass(id, "the processor has AES instructions; the file asks for chacha20-poly1305");
    }
    const auto by = engine.accelerated() ? "libipsec-mb" : "libsodium: libipsec-mb is not used, " + why;
    return pass(id, "the processor has AES instructions; aes-256-gcm is computed by " + by);
  }
  const std::string what = "the processor has no AES instructions";
  if (choice == cipher_choice::aes_256_gcm) {
    return fail(id, what + ", and [node] cipher = \"aes-256-gcm\" asks for them", "write [node] cipher = \"auto\"");
  }
  if (choice == cipher_choice::chacha20_poly1305) return pass(id, what + ", and the file asks for none");
  return warn(id, what + ": " + "chacha20-poly1305 is slower",
              "give a virtual machine its host's processor (QEMU: -cpu host)");
}

findings check_cipher(examination& e) {
  const auto cipher = e.has_file() ? e.file().node.cipher : cipher_choice::automatic;
  const auto accelerator = e.has_file() ? e.file().offload.accelerator : offload_choice::automatic;
  return {judge_cipher(cipher, accelerator, crypto::available(crypto::suite::aes_256_gcm))};
}

finding judge_clock(wall_time now) {
  constexpr const char* id = "clock";
  if (now.time_since_epoch() >= earliest) return pass(id, "the clock has been set");
  return warn(id,
              "the clock is before 2024: were the state directory lost now, peers that have seen a later time would "
              "ignore our handshakes",
              "timedatectl set-ntp true");
}

findings check_clock(examination&) { return {judge_clock(os::wall_now())}; }

}  // namespace lanloom::app
