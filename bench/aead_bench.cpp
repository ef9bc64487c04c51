// SPDX-License-Identifier: Apache-2.0
// aead_bench.cpp - sealing and opening a train of 45 datagrams, by suite and engine; per datagram.
#include <lanloom/crypto/aead.hpp>

#include <benchmark/benchmark.h>

#include <vector>

namespace lanloom::crypto {
namespace {

constexpr std::size_t segments = 45;

struct train {
  std::size_t size;
  std::size_t stride = size + 16 + tag_size;  // with a header, as datagrams lie in the outbox
  std::vector<std::uint8_t> plain = std::vector<std::uint8_t>(segments * size);
  std::vector<std::uint8_t> sealed = std::vector<std::uint8_t>(segments * stride);

  void seal(const aead_key& key) noexcept {
    key.seal(segments, [this](std::size_t k) noexcept {
      std::uint8_t* header = sealed.data() + k * stride;
      return aead_key::message{k, bytes_view(header, 16), bytes_view(plain.data() + k * size, size), header + 16};
    });
  }
  bool open(const aead_key& key) noexcept {
    bool all = true;
    for (std::size_t k = 0; k < segments; ++k) {
      std::uint8_t* header = sealed.data() + k * stride;
      all &= key.open(k, bytes_view(header, 16), bytes_span(header + 16, size + tag_size));
    }
    return all;
  }
};

// Argument 0: ChaCha20-Poly1305, AES-256-GCM by libsodium, AES-256-GCM by libipsec-mb. Argument 1: bytes of plaintext.
std::optional<aead_key> key_of(benchmark::State& state) {
  initialise();
  const secret<32> raw;
  const gcm_engine fast = gcm_engine::choose(accelerator::on);
  const auto s = state.range(0) == 0 ? suite::chacha20_poly1305 : suite::aes_256_gcm;
  if (!available(s) || (state.range(0) == 2 && !fast.accelerated())) {
    state.SkipWithError("not here");
    return std::nullopt;
  }
  aead_key key(s, raw, state.range(0) == 2 ? fast : gcm_engine());
  state.SetLabel(std::string(key.name()));
  return key;
}

void done(benchmark::State& state, std::size_t size) {
  const auto datagrams = state.iterations() * static_cast<std::int64_t>(segments);
  state.SetItemsProcessed(datagrams);
  state.SetBytesProcessed(datagrams * static_cast<std::int64_t>(size));
}

void seal_train(benchmark::State& state) {
  const auto key = key_of(state);
  train t{static_cast<std::size_t>(state.range(1))};
  for (auto _ : state) {
    if (key) t.seal(*key);
    benchmark::ClobberMemory();
  }
  done(state, t.size);
}

void seal_and_open_train(benchmark::State& state) {
  const auto key = key_of(state);
  train t{static_cast<std::size_t>(state.range(1))};
  for (auto _ : state) {
    if (!key) continue;
    t.seal(*key);
    if (!t.open(*key)) state.SkipWithError("does not open");
  }
  done(state, t.size);
}

BENCHMARK(seal_train)->ArgsProduct({{0, 1, 2}, {64, 1400}});
BENCHMARK(seal_and_open_train)->ArgsProduct({{0, 1, 2}, {64, 1400}});

}  // namespace
}  // namespace lanloom::crypto
