// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <lanloom/core/fdb.hpp>
#include <lanloom/crypto/random.hpp>

#include <list>
#include <map>
#include <random>

using lanloom::duration;
using lanloom::time_point;
using lanloom::core::fdb;
using lanloom::core::local_port;
using lanloom::core::peer_id;
using lanloom::core::port;
using lanloom::wire::mac_address;
using namespace std::chrono_literals;

namespace {
// A unicast address of its own for each number below 2^40.
mac_address mac(std::uint64_t number) {
  return {{0x02, static_cast<std::uint8_t>(number >> 32), static_cast<std::uint8_t>(number >> 24),
           static_cast<std::uint8_t>(number >> 16), static_cast<std::uint8_t>(number >> 8),
           static_cast<std::uint8_t>(number)}};
}
port peer(std::uint16_t number) { return {peer_id{number}}; }
constexpr time_point start{1h};

struct database {
  lanloom::crypto::random source{7};
  fdb table{source};
};
}  // namespace

TEST_CASE("fdb: what was learned is found, and moves with its owner") {
  database d;
  CHECK_FALSE(d.table.lookup(mac(1), 0, start));
  d.table.learn(mac(1), 0, local_port, start);
  d.table.learn(mac(2), 0, peer(0), start);
  d.table.learn(mac(3), 0, peer(65535), start);
  CHECK(d.table.lookup(mac(1), 0, start) == local_port);
  CHECK(d.table.lookup(mac(2), 0, start) == peer(0));
  CHECK(d.table.lookup(mac(3), 0, start) == peer(65535));

  d.table.learn(mac(1), 0, peer(4), start);  // not in front
  CHECK(d.table.lookup(mac(1), 0, start) == peer(4));
  d.table.learn(mac(1), 0, local_port, start);  // in front
  CHECK(d.table.lookup(mac(1), 0, start) == local_port);
  CHECK(d.table.size(start) == 3);
}

TEST_CASE("fdb: what was learned of peers is forgotten, of whichever, and what is here stays") {
  database d;
  for (std::uint64_t k = 0; k < 100; ++k) {
    d.table.learn(mac(k), 0, k % 3 == 0 ? local_port : peer(static_cast<std::uint16_t>(k)), start);
  }
  d.table.forget_peers();
  CHECK(d.table.size(start) == 34);
  for (std::uint64_t k = 0; k < 100; ++k) CHECK(d.table.lookup(mac(k), 0, start).has_value() == (k % 3 == 0));
}

TEST_CASE("fdb: all is forgotten at once, and its room is free again") {
  database d;
  for (int round = 0; round < 3; ++round) {
    for (std::uint64_t k = 0; k < fdb::capacity; ++k)
      d.table.learn(mac(k), 7, k % 2 == 0 ? local_port : peer(3), start);
    CHECK(d.table.size(start) == fdb::capacity);
    d.table.forget_all();
    CHECK(d.table.size(start) == 0);
    CHECK_FALSE(d.table.lookup(mac(1), 7, start));
  }
  d.table.forget_all();
  d.table.learn(mac(1), 0, peer(2), start);
  CHECK(d.table.lookup(mac(1), 0, start) == peer(2));
}

TEST_CASE("fdb: VLANs do not see each other") {
  database d;
  d.table.learn(mac(1), 0, peer(0), start);
  d.table.learn(mac(1), 1, peer(1), start);
  d.table.learn(mac(1), 4094, local_port, start);
  CHECK(d.table.lookup(mac(1), 0, start) == peer(0));
  CHECK(d.table.lookup(mac(1), 1, start) == peer(1));
  CHECK(d.table.lookup(mac(1), 4094, start) == local_port);
  CHECK_FALSE(d.table.lookup(mac(1), 2, start));
  CHECK(d.table.size(start) == 3);
}

TEST_CASE("fdb: an entry is gone exactly 300 s after it was last learned") {
  database d;
  d.table.learn(mac(1), 0, peer(1), start);
  d.table.learn(mac(2), 0, peer(2), start + 1s);
  CHECK(d.table.lookup(mac(1), 0, start + 300s - 1ns) == peer(1));
  CHECK(d.table.size(start + 300s - 1ns) == 2);
  CHECK_FALSE(d.table.lookup(mac(1), 0, start + 300s));
  CHECK(d.table.size(start + 300s) == 1);
  CHECK(d.table.entries(start + 300s).size() == 1);
  CHECK(d.table.lookup(mac(2), 0, start + 300s) == peer(2));

  d.table.learn(mac(2), 0, peer(2), start + 300s);  // in front: only refreshed
  CHECK(d.table.lookup(mac(2), 0, start + 600s - 1ns) == peer(2));
  CHECK_FALSE(d.table.lookup(mac(2), 0, start + 600s));

  d.table.learn(mac(1), 0, peer(3), start + 700s);  // back from the dead
  CHECK(d.table.lookup(mac(1), 0, start + 700s) == peer(3));
  CHECK(d.table.size(start + 700s) == 1);
}

TEST_CASE("fdb: group and zero addresses are never learned") {
  database d;
  d.table.learn(mac_address{}, 0, peer(1), start);
  d.table.learn(mac_address{{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}}, 0, peer(1), start);
  d.table.learn(mac_address{{0x01, 0x00, 0x5e, 0, 0, 1}}, 5, peer(1), start);
  CHECK(d.table.size(start) == 0);
  CHECK_FALSE(d.table.lookup(mac_address{}, 0, start));
  CHECK_FALSE(d.table.lookup(mac_address{{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}}, 0, start));
}

TEST_CASE("fdb: forget takes all of one port and nothing else, and the room is used again") {
  database d;
  for (std::uint64_t i = 0; i < 3000; ++i) {
    d.table.learn(mac(i), 0, i % 3 == 0 ? local_port : peer(static_cast<std::uint16_t>(i % 3)), start);
  }
  d.table.forget(peer(1));
  CHECK(d.table.size(start) == 2000);
  for (std::uint64_t i = 0; i < 3000; ++i) CHECK(d.table.lookup(mac(i), 0, start).has_value() == (i % 3 != 1));
  d.table.forget(local_port);
  d.table.forget(peer(2));
  CHECK(d.table.size(start) == 0);
  d.table.forget(peer(2));
  for (std::uint64_t i = 0; i < fdb::capacity; ++i) d.table.learn(mac(i), 9, peer(1), start);
  CHECK(d.table.size(start) == fdb::capacity);
  CHECK(d.table.lookup(mac(0), 9, start) == peer(1));
}

TEST_CASE("fdb: entries come most recently seen first") {
  database d;
  d.table.learn(mac(1), 7, peer(1), start);
  d.table.learn(mac(2), 0, peer(2), start + 1s);
  d.table.learn(mac(3), 0, local_port, start + 2s);
  d.table.learn(mac(2), 0, peer(3), start + 3s);
  const auto entries = d.table.entries(start + 4s);
  REQUIRE(entries.size() == 3);
  CHECK(entries[0].mac == mac(2));
  CHECK(entries[0].where == peer(3));
  CHECK(entries[0].seen == start + 3s);
  CHECK(entries[1].mac == mac(3));
  CHECK(entries[2].mac == mac(1));
  CHECK(entries[2].vlan == 7);
}

TEST_CASE("fdb: a million addresses leave the last 65536") {
  database d;
  std::mt19937_64 random(3);
  std::vector<mac_address> seen;
  for (std::size_t i = 0; i < 1'000'000; ++i) {
    auto address = mac(i);
    const auto draw = random();  // no order in what the hash gets
    address.bytes[0] = static_cast<std::uint8_t>((draw & 0xfcU) | 0x02U);
    address.bytes[1] = static_cast<std::uint8_t>(draw >> 8);
    seen.push_back(address);
    d.table.learn(address, 0, peer(1), start);
  }
  CHECK(d.table.size(start) == fdb::capacity);
  std::size_t wrong = 0;
  for (std::size_t i = 0; i < seen.size(); ++i) {
    wrong += d.table.lookup(seen[i], 0, start).has_value() != (i >= seen.size() - fdb::capacity) ? 1 : 0;
  }
  CHECK(wrong == 0);
}

namespace {
// The same promises kept with a map and a list.
class model {
 public:
  using key = std::pair<std::uint64_t, std::uint16_t>;
  struct entry {
    key name;
    port where;
    time_point seen;
  };

  void learn(key k, port where, time_point now) {
    if (const auto known = index_.find(k); known != index_.end()) {
      order_.erase(known->second);
    } else if (index_.size() == fdb::capacity) {
      index_.erase(order_.back().name);
      order_.pop_back();
    }
    order_.push_front({k, where, now});
    index_[k] = order_.begin();
  }
  [[nodiscard]] std::optional<port> lookup(key k, time_point now) const {
    const auto known = index_.find(k);
    if (known == index_.end() || now - known->second->seen >= 300s) return std::nullopt;
    return known->second->where;
  }
  void forget(port where) {
    for (auto e = order_.begin(); e != order_.end();) {
      if (e->where == where) {
        index_.erase(e->name);
        e = order_.erase(e);
      } else {
        ++e;
      }
    }
  }
  [[nodiscard]] std::vector<entry> entries(time_point now) const {
    std::vector<entry> live;
    for (const auto& e : order_) {
      if (now - e.seen < 300s) live.push_back(e);
    }
    return live;
  }

 private:
  std::list<entry> order_;
  std::map<key, std::list<entry>::iterator> index_;
};

std::size_t differences(const std::vector<fdb::entry>& real, const std::vector<model::entry>& expected) {
  if (real.size() != expected.size()) return 1 + real.size() + expected.size();
  std::size_t wrong = 0;
  for (std::size_t i = 0; i < real.size(); ++i) {
    const auto& r = real[i];
    const auto& e = expected[i];
    const bool same = r.mac == mac(e.name.first) && r.vlan == e.name.second && r.where == e.where && r.seen == e.seen;
    wrong += same ? 0 : 1;
  }
  return wrong;
}
}  // namespace

TEST_CASE("fdb: random operations act as a map with a list of use") {
  database d;
  model expected;
  std::mt19937_64 random(11);
  auto now = start;
  std::size_t wrong = 0;
  std::size_t fullest = 0;
  for (std::size_t i = 0; i < 500'000; ++i) {
    // Fast phases fill the table, slow ones let it age.
    now += duration{static_cast<std::int64_t>(random() % (i / 100'000 % 2 == 0 ? 1'000 : 8'000'000))};
    const model::key k{random() % 50'000, static_cast<std::uint16_t>(random() % 2)};
    const auto draw = random() % 64;
    const auto where = draw % 4 == 0 ? local_port : peer(static_cast<std::uint16_t>(draw % 5));
    if (draw < 48) {
      d.table.learn(mac(k.first), k.second, where, now);
      expected.learn(k, where, now);
    }
    if (draw == 63 && random() % 1500 == 0) {
      d.table.forget(where);
      expected.forget(where);
    }
    const model::key other{random() % 50'000, static_cast<std::uint16_t>(random() % 2)};
    wrong += d.table.lookup(mac(other.first), other.second, now) != expected.lookup(other, now) ? 1 : 0;
    wrong += d.table.lookup(mac(k.first), k.second, now) != expected.lookup(k, now) ? 1 : 0;
    if (i % 25'000 == 0) {
      wrong += differences(d.table.entries(now), expected.entries(now));
      fullest = std::max(fullest, d.table.size(now));
    }
  }
  CHECK(wrong == 0);
  CHECK(fullest == fdb::capacity);
}
