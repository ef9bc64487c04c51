// SPDX-License-Identifier: Apache-2.0
// Differential: a super-frame goes over a kernel bridge to a TAP that takes none, so the kernel cuts it; the same cut
// by us for a path that takes none. Both byte for byte.
#include "os/in_child.hpp"
#include "wire/packets.hpp"

#include <doctest/doctest.h>

#include <lanloom/os/tap.hpp>
#include <lanloom/wire/checksum.hpp>
#include <lanloom/wire/packet.hpp>

#include <linux/sockios.h>

using namespace lanloom;
using namespace lanloom::os::test;
using wire::bytes;
using wire::recipe;

namespace {

void with_bridge(unsigned long call, ifreq request, const char* bridge) {
  const os::unique_fd any(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  std::strncpy(request.ifr_name, bridge, IFNAMSIZ - 1);
  if (::ioctl(any.get(), call, &request) != 0) os::throw_errno("bridge");
}

// Two TAPs on one bridge: what is written to `in` comes out of `out`, cut by the kernel.
struct kernel_cutter {
  os::tap in = os::tap::open("cin");
  os::tap out = os::tap::open("cout");
  kernel_cutter() {
    const os::unique_fd any(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    if (::ioctl(any.get(), SIOCBRADDBR, "cbr") != 0) os::throw_errno("make a bridge");
    for (const char* port : {"cin", "cout"}) {
      ifreq request{};
      request.ifr_ifindex = static_cast<int>(::if_nametoindex(port));
      with_bridge(SIOCBRADDIF, request, "cbr");
      bring_up(port);
    }
    bring_up("cbr");
    EXPECT(in.set_offloads(all_tap_offloads).udp);
  }
  // Until the bridge forwards, and then what it makes of a frame.
  std::vector<bytes> cut(const bytes& whole, const offload& meta, std::size_t expected) {
    std::vector<bytes> all;
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (all.size() < expected && std::chrono::steady_clock::now() < deadline) {
      if (all.empty()) EXPECT(in.write(meta, std::array{bytes_view(whole)}) == std::errc{});
      while (all.size() < expected && readable(out.fd(), std::chrono::milliseconds(100))) {
        super_frame frame;
        if (out.read(room, frame) != std::errc{}) continue;
        if (!std::equal(whole.begin(), whole.begin() + 12, frame.bytes.begin())) continue;  // the kernel's own
        EXPECT(frame.meta == offload{});
        all.emplace_back(frame.bytes.begin(), frame.bytes.end());
      }
    }
    return all;
  }
  bytes room = bytes(frame_headroom + os::tap::max_frame);
};

offload meta_of(const recipe& r, std::size_t size) {
  offload meta;
  meta.partial_checksum = true;
  meta.gso = !r.tcp ? gso_kind::udp : r.v4 ? gso_kind::tcp4 : gso_kind::tcp6;
  meta.ecn = r.tcp && (r.flags & 0x80) != 0;
  meta.header_length = static_cast<std::uint16_t>(r.headers());
  meta.segment_size = static_cast<std::uint16_t>(size);
  meta.checksum_start = static_cast<std::uint16_t>(r.transport_at());
  meta.checksum_offset = static_cast<std::uint16_t>(r.field_at() - r.transport_at());
  return meta;
}

std::vector<bytes> our_cut(const recipe& r, const bytes& whole, std::size_t size) {
  std::vector<bytes> all;
  for (std::size_t k = 0; k * size < r.payload; ++k) {
    const std::size_t here = std::min(size, r.payload - k * size);
    bytes one(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(r.headers()));
    const auto p = wire::parse_packet(whole);
    EXPECT(p.has_value());
    wire::patch_headers(one, *p, {k, k, (r.payload + size - 1) / size, size, here});
    const auto from = whole.begin() + static_cast<std::ptrdiff_t>(r.headers() + k * size);
    one.insert(one.end(), from, from + static_cast<std::ptrdiff_t>(here));
    EXPECT(wire::complete_checksum(one, p->transport, p->checksum_offset()));
    all.push_back(std::move(one));
  }
  return all;
}

}  // namespace

TEST_CASE("segmentation: ours is the kernel's, byte for byte") {
  const auto failure = in_network([] {
    kernel_cutter kernel;
    std::mt19937 random(11);
    for (int k = 0; k < 300; ++k) {
      const std::size_t size = 200 + random() % 1200;
      recipe r = wire::random_recipe(random, 2 + random() % 40, size);
      if (r.headers() + r.payload > 65000 || r.headers() + size > 1518) continue;
      const bytes whole = make(r, true);
      const auto ours = our_cut(r, whole, size);
      const auto theirs = kernel.cut(whole, meta_of(r, size), ours.size());
      if (theirs == ours) continue;
      std::string what = "seed " + std::to_string(r.seed) + ": " + std::to_string(theirs.size()) + " segments, not " +
                         std::to_string(ours.size());
      for (std::size_t i = 0; i < std::min(ours.size(), theirs.size()); ++i) {
        if (ours[i] == theirs[i]) continue;
        const auto head = [&](const bytes& b) { return wire::to_hex(bytes_view(b).first(r.headers())); };
        what += "; segment " + std::to_string(i) + " is " + head(theirs[i]) + ", not " + head(ours[i]);
        break;
      }
      throw std::runtime_error(what);
    }
  });
  CHECK(failure == "");
}
