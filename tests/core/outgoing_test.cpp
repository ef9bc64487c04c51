// SPDX-License-Identifier: Apache-2.0
#include "core/trains.hpp"

#include <lanloom/core/outgoing.hpp>

using namespace lanloom;
using namespace lanloom::core;
using shape = outgoing::shape;

namespace {

struct parsed {
  bytes content;
  outgoing frame;
  drop result;
  parsed(bytes from, const offload& meta, std::size_t max_frame = 1522) : content(std::move(from)) {
    result = parse_outgoing({content, meta}, max_frame, frame);
  }
};

recipe with_payload(std::size_t payload) {
  recipe r;
  r.payload = payload;
  return r;
}

}  // namespace

TEST_CASE("outgoing: shapes") {
  const recipe r = with_payload(1000);
  CHECK(parsed(make(r), {}).frame.is == shape::whole);

  const parsed partial(make(r, true), meta_of(r, 0));
  CHECK(partial.result == drop::none);
  CHECK(partial.frame.is == shape::partial);
  CHECK(partial.frame.packet.payload == r.headers());

  const parsed super(make(r, true), meta_of(r, 400));
  CHECK(super.frame.is == shape::super);
  CHECK(super.frame.may_be_cut);
  CHECK(super.frame.meta.segment_size == 400);

  // Small ones are completed: they may share a datagram then.
  const recipe small = with_payload(100);
  const parsed completed(make(small, true), meta_of(small, 0));
  CHECK(completed.frame.is == shape::whole);
  CHECK(completed.frame.meta == offload{});
  CHECK(completed.content == make(small));
}

TEST_CASE("outgoing: what the kernel asks to be cut into one piece is not cut") {
  const recipe r = with_payload(1000);
  for (const std::size_t size : {1000U, 1400U}) {
    const parsed p(make(r, true), meta_of(r, size));
    CHECK(p.result == drop::none);
    CHECK(p.frame.is == shape::partial);
    CHECK(p.frame.meta.gso == gso_kind::none);
    CHECK(p.frame.meta.partial_checksum);
  }
}

TEST_CASE("outgoing: an odd checksum position") {
  // Of an encapsulated packet, say: completed where the kernel says.
  const recipe r = with_payload(1000);
  bytes frame = make(r);
  offload meta;
  meta.partial_checksum = true;
  meta.checksum_start = 600;
  meta.checksum_offset = 10;
  store_be16(&frame[610], 0);
  const parsed p(frame, meta);
  CHECK(p.frame.is == shape::whole);
  CHECK(wire::plain_sum(bytes_view(p.content).subspan(600)) == 0xffff);

  meta.checksum_offset = 600;
  CHECK(parsed(frame, meta).result == drop::bad_offload);

  // Of a super-frame: its own headers count.
  offload odd = meta_of(r, 400);
  odd.checksum_start += 2;
  bytes sum = make(r, true);
  store_be16(&sum[r.field_at()], 0x4711);
  const parsed super(sum, odd);
  CHECK(super.result == drop::none);
  CHECK(super.frame.meta.checksum_start == r.transport_at());
  CHECK(super.content == make(r, true));
}

TEST_CASE("outgoing: super-frames that cannot be honoured") {
  const recipe r = with_payload(1000);
  const auto refused = [](bytes frame, const offload& meta) {
    CHECK(parsed(std::move(frame), meta).result == drop::bad_offload);
  };
  offload meta = meta_of(r, 400);
  meta.gso = gso_kind::tcp6;
  refused(make(r, true), meta);
  meta.gso = gso_kind::udp;
  refused(make(r, true), meta);
  meta = meta_of(r, 400);
  meta.segment_size = 0;
  refused(make(r, true), meta);
  bytes longer = make(r, true);
  longer.push_back(0);
  refused(longer, meta_of(r, 400));
  bytes arp = frame_of(broadcast, mac_a, 1000);
  refused(arp, meta_of(r, 400));
  const recipe nothing = with_payload(0);
  refused(make(nothing, true), meta_of(nothing, 400));
}

TEST_CASE("outgoing: longer than the MTU") {
  CHECK(parsed(bytes(1523), {}).result == drop::long_frame);
  const recipe tcp = with_payload(5000);
  const parsed p(make(tcp, true), meta_of(tcp, 2000));
  CHECK(p.result == drop::none);
  CHECK(p.frame.meta.segment_size == 1522 - tcp.headers());
  recipe udp = tcp;
  udp.tcp = false;
  CHECK(parsed(make(udp, true), meta_of(udp, 2000)).result == drop::long_frame);
  recipe syn = tcp;
  syn.flags |= 2;
  CHECK(parsed(make(syn, true), meta_of(syn, 2000)).result == drop::long_frame);
}
