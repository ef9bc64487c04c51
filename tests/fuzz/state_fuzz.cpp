// SPDX-License-Identifier: Apache-2.0
// state_fuzz.cpp - any bytes as the state file, and a node that goes on from what is found in them.
//
// The first byte says how: bit 0, the hashes are put right, as only somebody who knows the format would. The rest is
// cut in two halves, one for the beginning of each copy.
#include <lanloom/core/node.hpp>
#include <lanloom/crypto/hash.hpp>

#include <algorithm>
#include <cstdlib>

using namespace lanloom;
using namespace lanloom::core;
using namespace std::chrono_literals;

namespace {

using bytes = std::vector<std::uint8_t>;

void require(bool holds) {
  if (!holds) std::abort();
}

void hash_again(bytes_span copy) {
  const std::size_t size = 72 + std::size_t{load_le32(&copy[12])} * 68;
  if (size > copy.size()) return;
  std::array<std::uint8_t, 32> hash{};
  crypto::blake2b(hash, {copy.first(40), copy.first(size).subspan(72)});
  std::copy(hash.begin(), hash.end(), copy.begin() + 40);
}

bytes file_of(bytes_view input) {
  bytes file(state_copies::file_size);
  if (input.empty()) return file;
  const bool hashed = (input[0] & 1) != 0;
  input = input.subspan(1);
  const std::size_t half = std::min(input.size() / 2, state_copies::copy_size);
  for (std::size_t k = 0; k < 2; ++k) {
    const bytes_span copy = bytes_span(file).subspan(k * state_copies::copy_size, state_copies::copy_size);
    std::copy_n(input.begin() + static_cast<std::ptrdiff_t>(k * half), half, copy.begin());
    if (hashed) hash_again(copy);
  }
  return file;
}

bool same(const saved_state& a, const saved_state& b) {
  return a.reserve == b.reserve &&
         std::equal(a.peers.begin(), a.peers.end(), b.peers.begin(), b.peers.end(), [](const auto& x, const auto& y) {
           return x.key == y.key && x.accepted == y.accepted && x.remote == y.remote;
         });
}

void write(bytes& file, state_copies& copies, const saved_state& state) {
  const auto w = copies.format(state);
  require(w.offset + w.bytes.size() <= file.size());
  std::copy(w.bytes.begin(), w.bytes.end(), file.begin() + static_cast<std::ptrdiff_t>(w.offset));
  copies.written();
}

// The first entry's peer is configured: it is called where it was, with a stamp beyond the reserve.
void go_on(const saved_state& known) {
  crypto::random source(4711);
  node_config config{crypto::make_key_pair(source), "lan", std::nullopt, wire::suite_bit_chacha20_poly1305, 1500, {}};
  if (known.peers.at(0).key == config.keys.public_half) return;  // no configuration has ourselves as a peer
  config.known = known;
  std::vector<peer_config> peers;
  peers.push_back({"n", known.peers.at(0).key, std::nullopt, {}, 25s});
  const instant at{time_point{1h}, wall_time{1'700'000'000s}};
  node n(std::move(config), std::move(peers), crypto::random(1), at);
  outbox out;
  n.on_timer(at, out);
  for (const auto& train : out.trains()) {
    require(n.state().peers.at(0).remote == train.to);
    require(n.keep_due() == time_point::min());
    require(n.last_state().reserve > known.reserve && n.state().reserve > n.last_state().reserve);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* input, std::size_t size) {
  crypto::initialise();
  bytes file = file_of({input, size});
  state_copies copies(file);
  const saved_state found = copies.found();
  require(found.peers.size() <= saved_state::max_peers);
  write(file, copies, found);
  require(same(state_copies(file).found(), found));
  if (!found.peers.empty()) go_on(found);
  return 0;
}
