// SPDX-License-Identifier: Apache-2.0
// lane_bench.cpp - the whole way of a frame through core, without system calls: into one node, out as datagrams, into
// the other, out as a frame. Names ending in /counted run a fixed number of rounds, for instructions.sh.
#include <lanloom/core/node.hpp>

#include <benchmark/benchmark.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <vector>

namespace lanloom::core {
namespace {

using bytes = std::vector<std::uint8_t>;

// Two nodes with an AES-256-GCM session, on a clock that stands still.
class couple {
 public:
  couple() {
    crypto::initialise();
    crypto::random source(1);
    auto a = crypto::make_key_pair(source), b = crypto::make_key_pair(source);
    const crypto::public_key key_a = a.public_half, key_b = b.public_half;
    a_ = make(std::move(a), key_b, address_b);
    b_ = make(std::move(b), key_a, address_a);
    a_->on_timer(at, out);
    for (int i = 0; i < 4; ++i) {
      pass(*b_, address_a);
      pass(*a_, address_b);
    }
    measure_path();
  }

  node& a() { return *a_; }
  node& b() { return *b_; }

  const endpoint address_a = endpoint::v4({192, 0, 2, 1}, 4780), address_b = endpoint::v4({192, 0, 2, 2}, 4780);
  const instant at{time_point(std::chrono::hours(1)), wall_time(std::chrono::hours(500'000))};
  outbox out, arrived;

 private:
  std::unique_ptr<node> make(crypto::key_pair&& own, const crypto::public_key& other, const endpoint& remote) const {
    node_config config;
    config.keys = std::move(own);
    config.suites = wire::suite_bit_aes_256_gcm;
    config.mtu = 1400;
    config.engine = crypto::gcm_engine::choose(crypto::accelerator::automatic);
    std::vector<peer_config> peers(1);
    peers[0].name = "other";
    peers[0].key = other;
    peers[0].remotes = remote;
    return std::make_unique<node>(std::move(config), std::move(peers), crypto::random(2), at);
  }

  void measure_path();

  // What the outbox holds goes to `to`; its answer is in the outbox then.
  void pass(node& to, const endpoint& from) {
    std::vector<bytes> datagrams;
    for (const auto& t : out.trains()) datagrams.emplace_back(t.bytes.begin(), t.bytes.end());
    out.clear();
    for (auto& d : datagrams) to.on_datagrams({d, d.size()}, from, at.now, out);
    while (to.work(at, out)) {
    }
  }

  std::unique_ptr<node> a_, b_;
};

// TCP over IPv4 with `payload` bytes, its checksum left to be done; a super-frame when there is more than one segment.
struct load {
  static constexpr std::size_t headers = 14 + 20 + 20;
  bytes memory;
  offload meta;

  load(std::size_t payload, std::size_t segment) : memory(frame_headroom + headers + payload) {
    std::uint8_t* frame = memory.data() + frame_headroom;
    const std::array<std::uint8_t, 14> ethernet{2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0};
    std::copy(ethernet.begin(), ethernet.end(), frame);
    std::uint8_t* ip = frame + 14;
    ip[0] = 0x45;
    store_be16(ip + 2, static_cast<std::uint16_t>(40 + payload));
    store_be16(ip + 6, 0x4000);  // DF
    ip[8] = 64;
    ip[9] = 6;
    const std::array<std::uint8_t, 8> addresses{10, 5, 0, 1, 10, 5, 0, 2};
    std::copy(addresses.begin(), addresses.end(), ip + 12);
    store_be16(ip + 10, static_cast<std::uint16_t>(~folded_sum(ip, 20)));
    std::uint8_t* tcp = ip + 20;
    store_be16(tcp, 40000);
    store_be16(tcp + 2, 5201);
    tcp[12] = 0x50;
    tcp[13] = 0x10;
    store_be16(tcp + 16, pseudo_sum(ip, static_cast<std::uint16_t>(20 + payload)));
    meta.partial_checksum = true;
    meta.checksum_start = 34;
    meta.checksum_offset = 16;
    meta.header_length = headers;
    if (payload > segment) {
      meta.gso = gso_kind::tcp4;
      meta.segment_size = static_cast<std::uint16_t>(segment);
    }
  }
  [[nodiscard]] super_frame frame() { return {bytes_span(memory).subspan(frame_headroom), meta}; }
  [[nodiscard]] std::size_t size() const { return memory.size() - frame_headroom; }

 private:
  static std::uint16_t folded_sum(const std::uint8_t* from, std::size_t size, std::uint32_t sum = 0) {
    for (std::size_t i = 0; i < size; i += 2) sum += load_be16(from + i);
    while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
    return static_cast<std::uint16_t>(sum);
  }
  static std::uint16_t pseudo_sum(const std::uint8_t* ip, std::uint16_t length) {
    return folded_sum(ip + 12, 8, 6U + length);
  }
};

// From a to b, as it is soon after a stream has begun.
void couple::measure_path() {
  load first(64, 64);
  a_->on_frame(first.frame(), at.now, out);
  for (int i = 0; i < 4; ++i) {
    a_->on_timer(at, out);
    pass(*b_, address_a);
    pass(*a_, address_b);
  }
}

// Arguments: payload and segment size. The frame is copied anew each time, as if it came from the TAP, because sealing
// uses up its bytes; that copy is part of the figure.
void there(benchmark::State& state) {
  couple c;
  const load original(static_cast<std::size_t>(state.range(0)), static_cast<std::size_t>(state.range(1)));
  load l = original;
  for (auto _ : state) {
    std::memcpy(l.memory.data(), original.memory.data(), l.memory.size());
    c.a().on_frame(l.frame(), c.at.now, c.out);
    if (c.out.trains().empty()) {
      state.SkipWithError("no datagram came out: this build takes no such frame");
      break;
    }
    c.out.clear();
  }
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(l.size()));
}

void there_and_back_out(benchmark::State& state) {
  couple c;
  const load original(static_cast<std::size_t>(state.range(0)), static_cast<std::size_t>(state.range(1)));
  load l = original;
  for (auto _ : state) {
    std::memcpy(l.memory.data(), original.memory.data(), l.memory.size());
    c.a().on_frame(l.frame(), c.at.now, c.out);
    // What is sent is opened where it lies in the outbox, as what is received is in its slot.
    for (const auto& t : c.out.trains()) {
      const bytes_span train(const_cast<std::uint8_t*>(t.bytes.data()), t.bytes.size());
      c.b().on_datagrams({train, t.stride}, c.address_a, c.at.now, c.arrived);
    }
    if (c.arrived.frames().empty()) {
      state.SkipWithError("no frame came out: this build takes no such frame");
      break;
    }
    c.out.clear();
    c.arrived.clear();
  }
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(l.size()));
}

BENCHMARK(there)->Args({64, 1346})->Args({1346, 1346})->Args({45 * 1346, 1346});
BENCHMARK(there_and_back_out)->Args({64, 1346})->Args({1346, 1346})->Args({45 * 1346, 1346});
BENCHMARK(there)->Name("there/counted")->Args({64, 1346})->Args({1346, 1346})->Args({45 * 1346, 1346})->Iterations(200);
BENCHMARK(there_and_back_out)
    ->Name("there_and_back_out/counted")
    ->Args({64, 1346})
    ->Args({1346, 1346})
    ->Args({45 * 1346, 1346})
    ->Iterations(200);

}  // namespace
}  // namespace lanloom::core
