// SPDX-License-Identifier: Apache-2.0
#include "in_child.hpp"

#include <doctest/doctest.h>
#include <lanloom/os/tap.hpp>

#include <linux/if_tun.h>
#include <netpacket/packet.h>

#include <algorithm>
#include <numeric>
#include <vector>

using namespace lanloom;
using namespace lanloom::os;
using namespace lanloom::os::test;

namespace {

constexpr std::uint16_t test_type = 0x88b5;  // IEEE: local experiments

std::vector<std::uint8_t> frame_of(std::size_t size) {
  std::vector<std::uint8_t> frame(size);
  std::iota(frame.begin(), frame.end(), std::uint8_t{1});
  std::fill_n(frame.begin(), 6, std::uint8_t{0xff});
  frame[6] = 0x02;
  store_be16(frame.data() + 12, test_type);
  return frame;
}

struct packet_socket {
  unique_fd fd{::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(test_type))};
  explicit packet_socket(const char* interface) {
    sockaddr_ll to{};
    to.sll_family = AF_PACKET;
    to.sll_protocol = htons(test_type);
    to.sll_ifindex = static_cast<int>(::if_nametoindex(interface));
    if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0) throw_errno("packet socket");
  }
};

// The next frame of ours; the kernel's own (neighbour discovery) are passed over.
bool read_ours(tap& device, bytes_span room, super_frame& out) {
  while (readable(device.fd(), std::chrono::seconds(5))) {
    const std::errc error = device.read(room, out);
    if (error == std::errc::resource_unavailable_try_again) continue;
    EXPECT(error == std::errc{});
    if (out.bytes.size() >= 14 && load_be16(out.bytes.data() + 12) == test_type) return true;
  }
  return false;
}

// A tap on one end of a socket pair, so that a test plays the kernel.
struct fake_device {
  tap device;
  unique_fd kernel;
  static fake_device make() {
    std::array<int, 2> ends{};
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends.data()) != 0) throw_errno("pair");
    return {tap(unique_fd(ends[0])), unique_fd(ends[1])};
  }
  void says(std::vector<std::uint8_t> header, std::size_t frame_size) const {
    const auto frame = frame_of(frame_size);
    header.insert(header.end(), frame.begin(), frame.end());
    REQUIRE(::send(kernel.get(), header.data(), header.size(), 0) == static_cast<ssize_t>(header.size()));
  }
};

std::vector<std::uint8_t> header_of(std::uint8_t flags, std::uint8_t type, std::uint16_t gso_size) {
  std::vector<std::uint8_t> header(10);
  const std::array<std::uint16_t, 4> fields{54, gso_size, 34, 16};
  header[0] = flags;
  header[1] = type;
  std::memcpy(header.data() + 2, fields.data(), 8);
  return header;
}

}  // namespace

TEST_CASE("tap: a frame sent out of the interface is read with headroom, and one that is written arrives") {
  const auto failure = in_network([] {
    tap device = tap::open("vtap0");
    bring_up("vtap0");
    const packet_socket wire("vtap0");
    std::vector<std::uint8_t> room(frame_headroom + tap::max_frame);

    const auto outgoing = frame_of(1514);
    EXPECT(::send(wire.fd.get(), outgoing.data(), outgoing.size(), 0) == 1514);
    super_frame frame;
    EXPECT(read_ours(device, room, frame));
    EXPECT(frame.bytes.data() == room.data() + frame_headroom);
    EXPECT(std::equal(frame.bytes.begin(), frame.bytes.end(), outgoing.begin(), outgoing.end()));
    EXPECT(frame.meta == offload{});

    const auto incoming = frame_of(300);
    const bytes_view all(incoming);
    const std::array<bytes_view, 3> slices{all.first(14), all.subspan(14, 100), all.subspan(114)};
    EXPECT(device.write({}, slices) == std::errc{});
    EXPECT(readable(wire.fd.get(), std::chrono::seconds(5)));
    std::array<std::uint8_t, 2000> got{};
    EXPECT(::recv(wire.fd.get(), got.data(), got.size(), 0) == 300);
    EXPECT(std::equal(incoming.begin(), incoming.end(), got.begin()));
  });
  CHECK(failure == "");
}

TEST_CASE("tap: nothing to read, interface down, gone") {
  const auto failure = in_network([] {
    std::vector<std::uint8_t> room(frame_headroom + tap::max_frame);
    super_frame frame;
    tap device = tap::open("vtap0");
    EXPECT(device.read(room, frame) == std::errc::resource_unavailable_try_again);
    const auto bytes = frame_of(60);
    const std::array<bytes_view, 1> slices{bytes};
    EXPECT(device.write({}, slices) == std::errc::io_error);
    const std::array<bytes_view, 1> runt{bytes_view(bytes).first(10)};
    EXPECT(device.write({}, runt) == std::errc::invalid_argument);
  });
  CHECK(failure == "");
}

TEST_CASE("tap: a name that exists is refused, in a sentence") {
  const auto failure = in_network([] {
    const tap first = tap::open("vtap0");
    try {
      const tap second = tap::open("vtap0");
      throw std::runtime_error("opened twice");
    } catch (const std::system_error& e) {
      EXPECT(e.code() == std::errc::device_or_resource_busy);
      EXPECT(std::string(e.what()) ==
             "create TAP vtap0: an interface of this name exists already: Device or resource busy");
    }
    try {
      const tap lo = tap::open("lo");
      throw std::runtime_error("opened lo");
    } catch (const std::system_error& e) {
      EXPECT(std::string(e.what()).starts_with("create TAP lo: "));
    }
  });
  CHECK(failure == "");
  CHECK_THROWS_WITH_AS((void)tap::open("sixteen-letters-"), "create TAP sixteen-letters-: Invalid argument",
                       std::system_error);
}

TEST_CASE("tap: an interface that somebody left without a process is not taken over") {
  const auto failure = in_network([] {
    {
      const unique_fd left(::open("/dev/net/tun", O_RDWR | O_CLOEXEC));
      ifreq request{};
      std::strncpy(request.ifr_name, "vtap0", IFNAMSIZ - 1);
      request.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
      EXPECT(::ioctl(left.get(), TUNSETIFF, &request) == 0);
      EXPECT(::ioctl(left.get(), TUNSETPERSIST, 1UL) == 0);
    }
    try {
      const tap device = tap::open("vtap0");
      throw std::runtime_error("opened");
    } catch (const std::system_error& e) {
      EXPECT(e.code() == std::errc::device_or_resource_busy);
    }
    EXPECT(::if_nametoindex("vtap0") != 0);
  });
  CHECK(failure == "");
}

TEST_CASE("tap: the interface lives as long as a duplicate of the descriptor, and takes up where it was") {
  const auto failure = in_network([] {
    unique_fd kept;
    {
      const tap device = tap::open("vtap0");
      kept = device.duplicate();
      EXPECT((::fcntl(device.fd(), F_GETFD) & FD_CLOEXEC) != 0);
      EXPECT((::fcntl(kept.get(), F_GETFD) & FD_CLOEXEC) != 0);
    }
    EXPECT(::if_nametoindex("vtap0") != 0);
    bring_up("vtap0");
    tap next(std::move(kept));
    const packet_socket wire("vtap0");
    const auto bytes = frame_of(60);
    const std::array<bytes_view, 1> slices{bytes};
    EXPECT(next.write({}, slices) == std::errc{});
    EXPECT(readable(wire.fd.get(), std::chrono::seconds(5)));
  });
  CHECK(failure == "");
}

TEST_CASE("tap: the virtio header is decoded; what offload cannot express is a protocol error") {
  auto [device, kernel] = fake_device::make();
  const fake_device fake{tap(device.duplicate()), std::move(kernel)};
  std::vector<std::uint8_t> room(frame_headroom + 2000);
  super_frame frame;

  fake.says(header_of(1, 1, 1448), 1500);
  REQUIRE(device.read(room, frame) == std::errc{});
  const offload tcp{.partial_checksum = true,
                    .gso = gso_kind::tcp4,
                    .ecn = false,
                    .header_length = 54,
                    .segment_size = 1448,
                    .checksum_start = 34,
                    .checksum_offset = 16};
  CHECK(frame.meta == tcp);
  CHECK(frame.bytes.size() == 1500);

  fake.says(header_of(1, 4 | 0x80, 1000), 1500);
  REQUIRE(device.read(room, frame) == std::errc{});
  CHECK(frame.meta.gso == gso_kind::tcp6);
  CHECK(frame.meta.ecn);

  fake.says(header_of(2, 0, 0), 60);  // DATA_VALID means nothing to us
  REQUIRE(device.read(room, frame) == std::errc{});
  CHECK(frame.meta.gso == gso_kind::none);
  CHECK_FALSE(frame.meta.partial_checksum);

  for (const std::uint8_t type : std::initializer_list<std::uint8_t>{2, 3, 6, 0x7f, 0x83}) {
    fake.says(header_of(1, type, 1000), 1500);
    CHECK(device.read(room, frame) == std::errc::protocol_error);
  }
  fake.says(header_of(1, 1, 0), 1500);  // segments of nothing
  CHECK(device.read(room, frame) == std::errc::protocol_error);
  fake.says(header_of(0, 5, 1000), 1500);  // segments without a checksum to finish
  CHECK(device.read(room, frame) == std::errc::protocol_error);
}

TEST_CASE(
    "tap: a frame that leaves the last byte of the room free is whole, a longer one is refused, a runt read is "
    "refused") {
  auto [device, kernel] = fake_device::make();
  const fake_device fake{tap(device.duplicate()), std::move(kernel)};
  std::vector<std::uint8_t> room(frame_headroom + 100 + 1);
  super_frame frame;
  fake.says(header_of(0, 0, 0), 100);
  REQUIRE(device.read(room, frame) == std::errc{});
  CHECK(frame.bytes.size() == 100);
  fake.says(header_of(0, 0, 0), 101);
  CHECK(device.read(room, frame) == std::errc::message_size);
  REQUIRE(::send(fake.kernel.get(), "runt", 4, 0) == 4);
  CHECK(device.read(room, frame) == std::errc::protocol_error);
  CHECK(device.read(room, frame) == std::errc::resource_unavailable_try_again);
}

TEST_CASE("tap: write puts the header in front of the slices, at most 129 of them") {
  auto [device, kernel] = fake_device::make();
  const auto bytes = frame_of(258);
  std::vector<bytes_view> slices;
  for (std::size_t i = 0; i < tap::max_slices; ++i) slices.push_back(bytes_view(bytes).subspan(i * 2, 2));
  const offload udp{.partial_checksum = true,
                    .gso = gso_kind::udp,
                    .ecn = false,
                    .header_length = 54,
                    .segment_size = 1400,
                    .checksum_start = 34,
                    .checksum_offset = 16};
  REQUIRE(device.write(udp, slices) == std::errc{});
  auto expected = header_of(1, 5, 1400);
  expected.insert(expected.end(), bytes.begin(), bytes.end());
  std::vector<std::uint8_t> got(1000);
  const ssize_t n = ::recv(kernel.get(), got.data(), got.size(), 0);
  REQUIRE(n == 268);
  got.resize(268);
  CHECK(got == expected);

  slices.push_back(bytes_view(bytes).first(1));
  CHECK(device.write(udp, slices) == std::errc::argument_list_too_long);
}

TEST_CASE("tap: offloads are what was asked for, as far as the kernel goes, and can be taken back") {
  const auto failure = in_network([] {
    tap device = tap::open("vtap0");
    const tap_offloads all = device.set_offloads(all_tap_offloads);
    EXPECT(all.checksum);
    EXPECT(all.tcp4);
    EXPECT(all.tcp6);
    const tap_offloads some{true, true, false, false};
    EXPECT(device.set_offloads(some) == some);
    EXPECT(device.set_offloads({false, true, true, true}) == tap_offloads{});  // nothing goes without checksums
    EXPECT(device.set_offloads({}) == tap_offloads{});
  });
  CHECK(failure == "");
  tap no_device(make_pipe().first);
  CHECK(no_device.set_offloads(all_tap_offloads) == tap_offloads{});
}
