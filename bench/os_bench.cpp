// SPDX-License-Identifier: Apache-2.0
// os_bench.cpp - the two ends of a frame's way: what a frame costs at the TAP and a train of datagrams at the socket,
// kernel included. Runs in a network namespace of its own, so it needs root.
#include <lanloom/os/netlink.hpp>
#include <lanloom/os/tap.hpp>
#include <lanloom/os/udp.hpp>

#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <sched.h>
#include <sys/socket.h>

#include <benchmark/benchmark.h>

#include <array>
#include <chrono>
#include <vector>

namespace lanloom::os {
namespace {

constexpr int loopback = 1;

// Once for the process: nothing after this touches the machine's own network.
bool on_own_host(benchmark::State& state) {
  static const bool moved = [] {
    if (::unshare(CLONE_NEWNET) != 0) return false;
    netlink().set_up(loopback);
    return true;
  }();
  if (!moved) state.SkipWithError("needs root");
  return moved;
}

// Argument: datagrams of 1472 bytes in a train. Over the loopback, sent and received.
void udp_there(benchmark::State& state) {
  if (!on_own_host(state)) return;
  constexpr std::size_t stride = 1472;
  udp_socket from = udp_socket::open(endpoint::v4({127, 0, 0, 1}, 0));
  udp_socket to = udp_socket::open(endpoint::v4({127, 0, 0, 1}, 0));
  receive_batch batch;
  const std::vector<std::uint8_t> train(static_cast<std::size_t>(state.range(0)) * stride);
  for (auto _ : state) {
    if (from.send(to.local(), train, stride).error != std::errc{}) state.SkipWithError("cannot send");
    std::errc error{};
    std::size_t arrived = 0;
    while (arrived < train.size() && error == std::errc{}) {
      for (const received& r : batch.receive(to, error)) arrived += r.train.bytes.size();
    }
    if (arrived != train.size()) state.SkipWithError("not all arrived");
  }
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(train.size()));
}
BENCHMARK(udp_there)->Arg(1)->Arg(44);

struct own_tap {
  tap device = tap::open("bench0");
  int index = netlink().link_by_name("bench0")->index;
  own_tap() { netlink().set_up(index); }
};

// Argument: bytes of the frame, which is for nobody here: what remains is the way in.
void tap_write(benchmark::State& state) {
  if (!on_own_host(state)) return;
  own_tap t;
  std::vector<std::uint8_t> frame(static_cast<std::size_t>(state.range(0)));
  frame[0] = 2;
  frame[12] = 0x88;
  frame[13] = 0xb5;
  const bytes_view whole(frame);
  for (auto _ : state) {
    if (t.device.write({}, std::span(&whole, 1)) != std::errc{}) state.SkipWithError("cannot write");
  }
  state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK(tap_write)->Arg(64)->Arg(1400);

// Frames are put in the TAP's queue by a packet socket; only taking them out is timed.
void tap_read(benchmark::State& state) {
  if (!on_own_host(state)) return;
  own_tap t;
  const unique_fd source(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0));
  sockaddr_ll to{};
  to.sll_family = AF_PACKET;
  to.sll_ifindex = t.index;
  std::vector<std::uint8_t> frame(static_cast<std::size_t>(state.range(0)));
  frame[0] = 2;
  std::vector<std::uint8_t> room(frame_headroom + tap::max_frame);
  super_frame out;
  std::int64_t frames = 0;
  while (t.device.read(room, out) == std::errc{}) continue;  // what the kernel says when an interface comes up
  for (auto _ : state) {
    for (int i = 0; i < 256; ++i) {
      if (::sendto(source.get(), frame.data(), frame.size(), 0, reinterpret_cast<const sockaddr*>(&to), sizeof to) <
          0) {
        state.SkipWithError("cannot send");
      }
    }
    const auto began = std::chrono::steady_clock::now();
    std::int64_t taken = 0;
    while (t.device.read(room, out) == std::errc{}) ++taken;
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
    if (taken == 0) state.SkipWithError("nothing to read");
    state.SetIterationTime(took.count());
    frames += taken;
  }
  state.SetItemsProcessed(frames);
}
BENCHMARK(tap_read)->Arg(64)->Arg(1400)->UseManualTime();

}  // namespace
}  // namespace lanloom::os
