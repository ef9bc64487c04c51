// SPDX-License-Identifier: Apache-2.0
// What the node does where the kernel refuses what it promised. A filter of system calls refuses in its place, loaded
// before the node's own, so no route or kernel is needed that really does.
#include "os/own_host.hpp"
#include "running_node.hpp"
#include "wire/packets.hpp"

#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <netinet/in.h>
#include <seccomp.h>

#include <cstring>

using namespace lanloom;
using namespace lanloom::app;
using namespace lanloom::app::test;

namespace {

constexpr std::size_t segment = 1000;
constexpr std::size_t fewest_slices = 4;  // of a super-frame: the kernel's header, the packet's, two segments

// TCP over IPv4, `whole` segments and a shorter one. The kernel's own packets on the TAP are IPv6.
wire::recipe packet_of(std::size_t whole, std::uint32_t seed) {
  wire::recipe r;
  r.payload = whole * segment + 500;
  r.seed = seed;
  r.sequence = seed * 100'000;
  return r;
}

offload meta_of(const wire::recipe& r) {
  offload meta;
  meta.partial_checksum = true;
  meta.gso = gso_kind::tcp4;
  meta.header_length = static_cast<std::uint16_t>(r.headers());
  meta.segment_size = segment;
  meta.checksum_start = static_cast<std::uint16_t>(r.transport_at());
  meta.checksum_offset = static_cast<std::uint16_t>(r.field_at() - r.transport_at());
  return meta;
}

// Its segments, with the sums that a TAP takes: of the pseudo-header alone.
std::vector<wire::bytes> segments_of(const wire::recipe& r) {
  auto all = wire::cut(r, wire::make(r), segment);
  for (auto& one : all) wire::finish(r, one, true);
  return all;
}

// struct virtio_net_hdr, whose file is none of C++.
struct super_header {
  std::uint8_t flags = 1;     // the checksum is partial
  std::uint8_t gso_type = 1;  // TCP over IPv4
  std::uint16_t header_length = 0, segment_size = 0, checksum_start = 0, checksum_offset = 0;
};

// The interface behind the TAP, as a bridge sees it: super-frames pass it whole.
class super_socket {
 public:
  explicit super_socket(int interface_index) : fd_(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {
    const int on = 1;
    sockaddr_ll here{};
    here.sll_family = AF_PACKET;
    here.sll_protocol = htons(ETH_P_IP);
    here.sll_ifindex = interface_index;
    if (::setsockopt(fd_.get(), SOL_PACKET, PACKET_VNET_HDR, &on, sizeof on) != 0 ||
        ::bind(fd_.get(), reinterpret_cast<const sockaddr*>(&here), sizeof here) != 0) {
      os::throw_errno("packet socket");
    }
  }
  void send(const wire::recipe& r) const {
    const offload meta = meta_of(r);
    super_header header;
    header.header_length = meta.header_length;
    header.segment_size = meta.segment_size;
    header.checksum_start = meta.checksum_start;
    header.checksum_offset = meta.checksum_offset;
    const wire::bytes frame = wire::make(r, true);
    wire::bytes whole(sizeof header + frame.size());
    std::memcpy(whole.data(), &header, sizeof header);
    std::copy(frame.begin(), frame.end(), whole.begin() + sizeof header);
    REQUIRE(::send(fd_.get(), whole.data(), whole.size(), 0) == static_cast<ssize_t>(whole.size()));
  }
  // Adds what has come, each as it was written to the TAP.
  void receive(std::vector<wire::bytes>& frames) const {
    wire::bytes room(65536);
    for (;;) {
      const ssize_t n = ::recv(fd_.get(), room.data(), room.size(), 0);
      if (n < static_cast<ssize_t>(sizeof(super_header))) return;
      frames.emplace_back(room.begin() + sizeof(super_header), room.begin() + n);
    }
  }

 private:
  os::unique_fd fd_;
};

// From here on this process's `call` meets `error` where `when` holds.
void refuse(int call, int error, scmp_arg_cmp when) {
  const scmp_filter_ctx filter = ::seccomp_init(SCMP_ACT_ALLOW);
  const bool loaded =
      ::seccomp_rule_add_array(filter, SCMP_ACT_ERRNO(static_cast<unsigned>(error)), call, 1, &when) == 0 &&
      ::seccomp_load(filter) == 0;
  ::seccomp_release(filter);
  if (!loaded) ::_exit(2);
}

}  // namespace

TEST_CASE("daemon: trains that the kernel does not cut are sent one by one, all of them, which is said once") {
  for (const int error : {EIO, EINVAL}) {
    CAPTURE(error);
    os::on_own_host([error] {
      running_node alpha;
      const super_socket lan(alpha.tap_index());
      other_side beta(alpha.address());
      // Of datagrams this hits trains alone: what is lone goes by sendto. But the control socket's answers, too.
      alpha.first_do([error](int channel) {
        refuse(SCMP_SYS(sendmsg), error, {0, SCMP_CMP_NE, static_cast<scmp_datum_t>(channel), 0});
      });
      alpha.start_ready(beta.address());
      REQUIRE(beta.live_until([&] { return beta.established(); }));
      REQUIRE(beta.live_until([] { return times_logged("beta: established at ") > 0; }));

      std::vector<wire::bytes> expected;
      std::vector<wire::bytes> came;
      for (std::uint32_t k = 1; k <= 3; ++k) {
        const auto r = packet_of(20, k);
        lan.send(r);
        for (auto& one : segments_of(r)) expected.push_back(std::move(one));
        CHECK(beta.live_until([&] {
          for (auto& frame : beta.frames) {
            if (frame[12] == 0x08 && frame[13] == 0x00) came.push_back(std::move(frame));
          }
          beta.frames.clear();
          return came.size() >= expected.size();
        }));
      }
      CHECK(came == expected);
      CHECK(times_logged("beta: the kernel does not cut datagrams on the way to " + to_string(beta.address()) +
                         "; they are sent one by one, which is slower") == 1);
      send_stop(alpha.channel());
      CHECK(alpha.end() == "exit 0");
    });
  }
}

TEST_CASE("daemon: super-frames that the TAP refuses three times in a row are cut from then on, which is said once") {
  os::on_own_host([] {
    running_node alpha;
    const super_socket lan(alpha.tap_index());
    other_side beta(alpha.address());
    beta.leaves_cutting = true;
    alpha.first_do([](int) { refuse(SCMP_SYS(writev), EINVAL, {2, SCMP_CMP_GE, fewest_slices, 0}); });
    alpha.start_ready(beta.address());
    REQUIRE(beta.live_until([&] { return beta.established(); }));

    const char* const said = "TAP vtap0 refuses TCP packets that are not segmented; from now on we segment them";
    for (std::uint32_t k = 1; k <= 3; ++k) {
      CHECK(times_logged(said) == 0);
      const auto r = packet_of(4, k);
      beta.send_frame(wire::make(r, true), meta_of(r));
      REQUIRE(beta.live_until([&] { return status_now()["drops"]["tap_refused"] == k; }));
    }
    std::vector<wire::bytes> came;
    lan.receive(came);
    CHECK(came.empty());

    std::vector<wire::bytes> expected;
    for (std::uint32_t k = 4; k <= 6; ++k) {
      const auto r = packet_of(4, k);
      beta.send_frame(wire::make(r, true), meta_of(r));
      for (auto& one : segments_of(r)) expected.push_back(std::move(one));
      CHECK(beta.live_until([&] {
        lan.receive(came);
        return came.size() >= expected.size();
      }));
    }
    CHECK(came == expected);
    CHECK(times_logged(said) == 1);
    CHECK(status_now()["drops"]["tap_refused"] == 3);
    send_stop(alpha.channel());
    CHECK(alpha.end() == "exit 0");
  });
}
