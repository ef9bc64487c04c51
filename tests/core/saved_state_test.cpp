// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <lanloom/core/saved_state.hpp>
#include <lanloom/crypto/hash.hpp>

#include <algorithm>

using namespace lanloom;
using namespace lanloom::core;

namespace {
using bytes = std::vector<std::uint8_t>;

wire::tai64n stamp_of(std::uint8_t second) {
  wire::tai64n s;
  s.bytes[0] = 0x40;
  s.bytes[7] = second;
  s.bytes[8] = 0x01;  // 2^24 ns
  return s;
}

saved_state::peer peer_of(std::uint8_t n, std::optional<endpoint> remote) {
  saved_state::peer p;
  p.key.bytes.fill(n);
  p.accepted.bytes.fill(static_cast<std::uint8_t>(0xff - n));
  p.remote = remote;
  return p;
}

saved_state example(std::uint8_t second) {
  saved_state s;
  s.reserve = stamp_of(second);
  s.peers.push_back(peer_of(1, endpoint::parse("192.0.2.1:4780")));
  endpoint local = endpoint::parse("[2001:db8::1]:1").value();
  local.scope = 0x01020304;
  s.peers.push_back(peer_of(2, local));
  s.peers.push_back(peer_of(3, std::nullopt));
  return s;
}

bool same(const saved_state& a, const saved_state& b) {
  return a.reserve == b.reserve &&
         std::equal(a.peers.begin(), a.peers.end(), b.peers.begin(), b.peers.end(), [](const auto& x, const auto& y) {
           return x.key == y.key && x.accepted == y.accepted && x.remote == y.remote;
         });
}

struct kept {
  std::size_t at;
  std::size_t size;
};

kept keep(bytes& file, state_copies& copies, const saved_state& state) {
  file.resize(state_copies::file_size);
  const auto write = copies.format(state);
  REQUIRE(write.offset + write.bytes.size() <= file.size());
  std::copy(write.bytes.begin(), write.bytes.end(), file.begin() + static_cast<std::ptrdiff_t>(write.offset));
  copies.written();
  return {write.offset, write.bytes.size()};
}

// After a change of the first copy that only somebody who knows the format makes.
void hash_again(bytes& file, std::size_t size) {
  const bytes_view copy(file.data(), size);
  std::array<std::uint8_t, 32> h{};
  crypto::blake2b(h, {copy.first(40), copy.subspan(72)});
  std::copy(h.begin(), h.end(), file.begin() + 40);
}
}  // namespace

TEST_CASE("saved_state: what is written is found, and the newer copy counts") {
  bytes file;
  state_copies copies{file};
  CHECK(same(copies.found(), {}));
  CHECK_FALSE(copies.damaged());
  const kept first = keep(file, copies, example(1));
  CHECK(first.size == 72 + 3 * 68);
  CHECK(same(state_copies(file).found(), example(1)));
  const kept second = keep(file, copies, example(2));
  CHECK(first.at != second.at);
  CHECK(same(state_copies(file).found(), example(2)));
  // A smaller state over a larger one, by another life of the program.
  state_copies later{file};
  saved_state small = example(3);
  small.peers.resize(1);
  CHECK(keep(file, later, small).at == first.at);
  CHECK(same(state_copies(file).found(), small));
  CHECK(keep(file, later, example(4)).at == second.at);
  CHECK(same(state_copies(file).found(), example(4)));
}

TEST_CASE("saved_state: after the last number comes the first") {
  bytes file;
  state_copies copies{file};
  const kept first = keep(file, copies, example(1));
  store_le64(&file[16], ~std::uint64_t{0});
  hash_again(file, first.size);
  for (std::uint8_t k = 2; k < 5; ++k) {
    state_copies next{file};
    keep(file, next, example(k));
    CHECK(same(state_copies(file).found(), example(k)));
  }
}

TEST_CASE("saved_state: a write that failed is made again in the same place") {
  bytes file;
  state_copies copies{file};
  keep(file, copies, example(1));
  const auto offset = copies.format(example(2)).offset;
  CHECK(copies.format(example(3)).offset == offset);
  CHECK(same(state_copies(file).found(), example(1)));
}

TEST_CASE("saved_state: a copy with any one byte altered is not taken, the other is") {
  bytes file;
  state_copies copies{file};
  keep(file, copies, example(1));
  const kept second = keep(file, copies, example(2));
  for (std::size_t k = 0; k < second.size; ++k) {
    CAPTURE(k);
    for (const unsigned flip : {0x01U, 0x80U, 0xffU}) {
      bytes altered = file;
      altered[second.at + k] = static_cast<std::uint8_t>(altered[second.at + k] ^ flip);
      const state_copies seen{altered};
      CHECK(same(seen.found(), example(1)));
      CHECK_FALSE(seen.damaged());
    }
  }
  bytes torn = file;
  std::fill(torn.begin() + static_cast<std::ptrdiff_t>(second.at + 100), torn.end(), std::uint8_t{0});
  state_copies after{torn};
  CHECK(same(after.found(), example(1)));
  CHECK(keep(torn, after, example(3)).at == second.at);  // over the damaged one
  CHECK(same(state_copies(torn).found(), example(3)));
}

TEST_CASE("saved_state: a file cut short anywhere") {
  bytes file;
  state_copies copies{file};
  const kept first = keep(file, copies, example(1));
  keep(file, copies, example(2));
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{39}, std::size_t{71}, first.size - 1}) {
    const state_copies seen{bytes_view(file).first(size)};
    CHECK(same(seen.found(), {}));
    CHECK(seen.damaged() == (size > 0));
  }
  for (const std::size_t size : {first.size, state_copies::copy_size, state_copies::copy_size + 100}) {
    const state_copies seen{bytes_view(file).first(size)};
    CHECK(same(seen.found(), example(1)));
    CHECK_FALSE(seen.damaged());
  }
}

TEST_CASE("saved_state: full, and beyond") {
  saved_state full;
  full.reserve = stamp_of(9);
  for (std::size_t k = 0; k < saved_state::max_peers; ++k) {
    full.peers.push_back(peer_of(static_cast<std::uint8_t>(k), endpoint::v4({10, 0, 0, 1}, 1)));
  }
  bytes file;
  state_copies copies{file};
  keep(file, copies, full);
  const kept second = keep(file, copies, full);
  CHECK(second.at + second.size <= state_copies::file_size);
  CHECK(same(state_copies(file).found(), full));

  bytes one(file.begin(), file.begin() + state_copies::copy_size);
  for (const std::uint32_t count : {1025U, 1084U, 0x80000000U, 0xffffffffU}) {
    store_le32(&one[12], count);
    hash_again(one, std::min<std::size_t>(one.size(), 72 + std::size_t{count} * 68));
    const state_copies seen{one};
    CHECK(same(seen.found(), {}));
    CHECK(seen.damaged());
  }
}

TEST_CASE(
    "saved_state: another version or a reserve that is no stamp is refused; an address that is none is left out") {
  bytes file;
  state_copies copies{file};
  const kept first = keep(file, copies, example(1));
  const auto found_with = [&](std::size_t at, bytes_view what) {
    bytes altered(file.begin(), file.begin() + state_copies::copy_size);
    std::copy(what.begin(), what.end(), altered.begin() + static_cast<std::ptrdiff_t>(at));
    hash_again(altered, first.size);
    return state_copies(altered).found();
  };
  CHECK(found_with(8, bytes{1}).peers.size() == 3);
  CHECK(found_with(8, bytes{2}).peers.empty());
  CHECK(found_with(24, bytes(12)).peers.size() == 3);
  CHECK(found_with(24, bytes{0x3f}).peers.empty());
  CHECK(found_with(24, bytes{0x40, 0, 0xff}).peers.size() == 3);
  CHECK(found_with(24, bytes{0x40, 1}).peers.empty());
  CHECK(found_with(32, bytes{0x3b, 0, 0, 0}).peers.size() == 3);
  CHECK(found_with(32, bytes{0x3c, 0, 0, 0}).peers.empty());
  CHECK(found_with(32, bytes{0x01, 0, 0, 1}).peers.empty());
  CHECK_FALSE(found_with(72 + 60, bytes{0, 0}).peers.at(0).remote);
  CHECK_FALSE(found_with(72 + 44, bytes(16)).peers.at(0).remote);
}
