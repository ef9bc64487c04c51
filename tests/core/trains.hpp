// SPDX-License-Identifier: Apache-2.0
// trains.hpp - for tests of trains: super-frames sent, some datagrams of them lost, and what arrived cut by hand.
#pragma once

#include "core/lane_pair.hpp"
#include "wire/packets.hpp"

namespace lanloom::core {

using wire::recipe;

// A packet as the kernel hands it over, to be cut into segments of `size`; 0: only its checksum is missing.
inline offload meta_of(const recipe& r, std::size_t size) {
  offload meta;
  meta.partial_checksum = true;
  meta.checksum_start = static_cast<std::uint16_t>(r.transport_at());
  meta.checksum_offset = static_cast<std::uint16_t>(r.field_at() - r.transport_at());
  if (size == 0) return meta;
  meta.gso = !r.tcp ? gso_kind::udp : r.v4 ? gso_kind::tcp4 : gso_kind::tcp6;
  meta.ecn = r.tcp && (r.flags & 0x80) != 0;
  meta.header_length = 3;  // a hint, and often a wrong one
  meta.segment_size = static_cast<std::uint16_t>(size);
  return meta;
}

inline void send_super(side& from, const recipe& r, std::size_t size) {
  from.send(wire::make(r, true), begun, meta_of(r, size));
}

// One batch.
inline void arrive_together(side& at, std::vector<bytes> datagrams, const endpoint& from) {
  std::vector<received> batch;
  for (bytes& d : datagrams) {
    at.kept.push_back(std::move(d));
    batch.push_back({from, {at.kept.back(), at.kept.back().size()}});
  }
  at.l.on_datagrams(batch, begun, at.out);
}

// What the kernel of `at` makes of the frames written to its TAP, if they are of this recipe.
inline std::vector<bytes> flatten(const recipe& r, const side& at) {
  std::vector<bytes> all;
  const auto frames = at.frames();
  for (std::size_t k = 0; k < frames.size(); ++k) {
    const offload& meta = at.out.frames()[k].meta;
    bytes whole = frames[k];
    REQUIRE(whole.size() >= r.headers());
    if (!meta.partial_checksum) {
      CHECK(meta == offload{});
      all.push_back(whole);
      continue;
    }
    recipe one = r;
    one.payload = whole.size() - r.headers();
    if (r.v4) one.id = load_be16(&whole[r.ip_at() + 4]);
    if (r.tcp) one.sequence = load_be32(&whole[r.transport_at() + 4]);
    if (r.tcp) one.flags = whole[r.transport_at() + 13];
    CHECK(meta.checksum_start == r.transport_at());
    CHECK(meta.checksum_start + meta.checksum_offset == r.field_at());
    bytes completed = whole;
    const std::uint32_t sum = wire::plain_sum(bytes_view(whole).subspan(r.transport_at()));
    store_be16(&completed[r.field_at()], static_cast<std::uint16_t>(sum == 0xffff ? sum : ~sum & 0xffffU));
    bytes should = whole;
    wire::finish(one, should, false);
    CHECK(completed == should);  // lengths, header checksum and pseudo-header sum are those of this packet
    if (meta.gso == gso_kind::none) {
      all.push_back(completed);
      continue;
    }
    CHECK(one.payload > meta.segment_size);  // the kernel takes no other
    CHECK(meta.header_length == r.headers());
    CHECK(meta.ecn == (r.tcp && (one.flags & 0x80) != 0));
    for (bytes& s : wire::cut(one, whole, meta.segment_size)) all.push_back(std::move(s));
  }
  return all;
}

}  // namespace lanloom::core
