// SPDX-License-Identifier: Apache-2.0
// fdb_bench.cpp - what a frame asks of the forwarding database: its source learned, its destination looked up.
#include <lanloom/core/fdb.hpp>
#include <lanloom/crypto/keys.hpp>
#include <lanloom/crypto/random.hpp>

#include <benchmark/benchmark.h>

namespace lanloom::core {
namespace {

wire::mac_address mac_of(std::uint32_t number) {
  wire::mac_address mac;
  mac.bytes = {2, 0, 0, 0, 0, 0};
  store_be32(mac.bytes.data() + 2, number);
  return mac;
}

// Argument: how many addresses are known and talk in turn.
void learn_and_look_up(benchmark::State& state) {
  crypto::initialise();
  crypto::random source(1);
  fdb table(source);
  const auto known = static_cast<std::uint32_t>(state.range(0));
  const time_point now{std::chrono::hours(1)};
  for (std::uint32_t i = 0; i < known; ++i) table.learn(mac_of(i), 0, port{peer_id{0}}, now);
  std::uint32_t i = 0;
  for (auto _ : state) {
    table.learn(mac_of(i), 0, port{peer_id{0}}, now);
    benchmark::DoNotOptimize(table.lookup(mac_of(known - 1 - i), 0, now));
    if (++i == known) i = 0;
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(learn_and_look_up)->Arg(2)->Arg(1000)->Arg(65536);

}  // namespace
}  // namespace lanloom::core
