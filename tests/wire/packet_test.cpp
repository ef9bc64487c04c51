// SPDX-License-Identifier: Apache-2.0
#include "wire/packets.hpp"

#include <lanloom/wire/checksum.hpp>
#include <lanloom/wire/packet.hpp>

using namespace lanloom;
using namespace lanloom::wire;

namespace {

recipe with(void (*edit)(recipe&)) {
  recipe r;
  edit(r);
  return r;
}

}  // namespace

TEST_CASE("packet: headers are found behind tags, options and extension headers, and the payload need not be there") {
  std::mt19937 random(1);
  for (int k = 0; k < 500; ++k) {
    const recipe r = random_recipe(random, 1 + random() % 5, 50);
    const bytes frame = make(r);
    CAPTURE(r.seed);
    for (const std::size_t shown : {frame.size(), r.headers()}) {
      const auto p = parse_packet(bytes_view(frame).first(shown));
      REQUIRE(p);
      CHECK(p->is_v4 == r.v4);
      CHECK(p->is_tcp == r.tcp);
      CHECK(p->ip == r.ip_at());
      CHECK(p->transport == r.transport_at());
      CHECK(p->payload == r.headers());
      CHECK(p->stated == r.payload);
      CHECK(p->transport + p->checksum_offset() == r.field_at());
    }
    for (std::size_t cut = 0; cut < r.headers(); ++cut) REQUIRE_FALSE(parse_packet(bytes_view(frame).first(cut)));
  }
}

TEST_CASE("packet: what is none") {
  const recipe four;
  const recipe six = with([](recipe& r) {
    r.v4 = false;
    r.ip_options = 8;
  });
  const auto none = [](bytes frame, std::size_t at, std::uint8_t value) {
    CAPTURE(at);
    CAPTURE(value);
    frame[at] = value;
    CHECK_FALSE(parse_packet(frame));
  };
  none(make(four), 12, 0x86);                        // another ethertype
  none(make(four), four.ip_at(), 0x65);              // another IP version
  none(make(four), four.ip_at(), 0x44);              // header of 16 bytes
  none(make(four), four.ip_at() + 6, 0x20);          // more fragments
  none(make(four), four.ip_at() + 7, 1);             // a later fragment
  none(make(four), four.ip_at() + 9, 1);             // ICMP
  none(make(four), four.transport_at() + 12, 0x40);  // TCP header of 16 bytes
  none(make(six), six.ip_at(), 0x45);
  none(make(six), six.ip_at() + 40, 44);   // fragment header
  none(make(six), six.ip_at() + 40, 59);   // nothing follows
  none(make(six), six.ip_at() + 41, 255);  // extension beyond the end

  bytes shorter = make(four);
  store_be16(&shorter[four.ip_at() + 2], 39);  // ends in the TCP header
  CHECK_FALSE(parse_packet(shorter));
  bytes jumbo = make(six);
  store_be16(&jumbo[six.ip_at() + 4], 0);
  CHECK_FALSE(parse_packet(jumbo));
  const recipe tags = with([](recipe& r) { r.tags = 3; });
  CHECK_FALSE(parse_packet(make(tags)));
  CHECK_FALSE(parse_packet({}));
}

TEST_CASE("packet: every run of segments gets the headers of such a packet") {
  std::mt19937 random(2);
  for (int k = 0; k < 300; ++k) {
    const std::size_t size = 1 + random() % 60;
    const std::size_t count = 2 + random() % 7;
    const recipe r = random_recipe(random, count, size);
    const bytes whole = make(r, true);
    const auto segments = cut(r, make(r), size);
    REQUIRE(segments.size() == count);
    for (std::size_t first = 0; first < count; ++first) {
      for (std::size_t last = first; last < count; ++last) {
        const std::size_t end = std::min((last + 1) * size, r.payload);
        bytes run(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(r.headers()));
        patch_headers(run, *parse_packet(whole), {first, last, count, size, end - first * size});
        run.insert(run.end(), whole.begin() + static_cast<std::ptrdiff_t>(r.headers() + first * size),
                   whole.begin() + static_cast<std::ptrdiff_t>(r.headers() + end));
        REQUIRE(complete_checksum(run, r.transport_at(), r.tcp ? 16 : 6));

        recipe expected = r;
        expected.payload = end - first * size;
        expected.id = static_cast<std::uint16_t>(r.id + first);
        expected.sequence = static_cast<std::uint32_t>(r.sequence + first * size);
        if (first > 0) expected.flags &= 0x7f;
        if (last + 1 < count) expected.flags &= 0xf6;
        bytes should(run);
        const bytes headers = make(expected);
        std::copy_n(headers.begin(), r.headers(), should.begin());
        finish(expected, should, false);
        CAPTURE(r.seed);
        REQUIRE(to_hex(run) == to_hex(should));
        if (first == last) REQUIRE(to_hex(run) == to_hex(segments[first]));
      }
    }
  }
}

TEST_CASE("packet: what may be cut anew") {
  const auto may = [](const recipe& r) {
    const bytes frame = make(r);
    return may_be_cut(frame, *parse_packet(frame));
  };
  CHECK(may({}));
  CHECK(may(with([](recipe& r) { r.flags = 0xd9; })));  // ACK, PSH, FIN, ECE, CWR
  CHECK_FALSE(may(with([](recipe& r) { r.dont_fragment = false; })));
  CHECK(may(with([](recipe& r) { r.v4 = false; })));
  CHECK_FALSE(may(with([](recipe& r) { r.tcp = false; })));
  for (const unsigned flag : {0x02U, 0x04U, 0x20U}) {
    recipe r;
    r.flags = static_cast<std::uint8_t>(r.flags | flag);
    CHECK_FALSE(may(r));
  }
}

TEST_CASE("packet: what is signed, or has options that cannot be read, may not be cut anew") {
  const auto may = [](const bytes& options) {
    recipe r;
    r.tcp_options = options.size();
    bytes frame = make(r);
    std::copy(options.begin(), options.end(),
              frame.begin() + static_cast<std::ptrdiff_t>(r.headers() - options.size()));
    return may_be_cut(frame, *parse_packet(frame));
  };
  CHECK(may({1, 1, 8, 10, 0, 0, 0, 19, 0, 0, 0, 29}));  // timestamps
  CHECK(may({0, 19, 18, 0}));                           // behind the end
  CHECK_FALSE(may({1, 1, 19, 18, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}));
  CHECK_FALSE(may({29, 16, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}));
  CHECK_FALSE(may({1, 1, 1, 8}));
  CHECK_FALSE(may({8, 0, 1, 1}));
  CHECK_FALSE(may({1, 1, 8, 10}));
}

TEST_CASE("packet: CWR, DHCP") {
  const auto cwr = [](const recipe& r) {
    const bytes f = make(r);
    return has_cwr(f, *parse_packet(f));
  };
  CHECK(cwr(with([](recipe& r) { r.flags = 0x90; })));
  CHECK_FALSE(cwr({}));
  CHECK_FALSE(cwr(with([](recipe& r) { r.tcp = false; })));
  const auto dhcp = [](std::uint16_t from, std::uint16_t to, bool tcp = false) {
    recipe r;
    r.tcp = tcp;
    r.source_port = from;
    r.destination_port = to;
    const bytes f = make(r);
    return is_dhcp(f, *parse_packet(f));
  };
  CHECK(dhcp(67, 68));
  CHECK(dhcp(5000, 67));
  CHECK(dhcp(68, 5000));
  CHECK(dhcp(546, 1));
  CHECK(dhcp(1, 547));
  CHECK_FALSE(dhcp(66, 69));
  CHECK_FALSE(dhcp(545, 548));
  CHECK_FALSE(dhcp(67, 68, true));
}

TEST_CASE("packet: a complete checksum becomes a partial one only if it is right") {
  std::mt19937 random(3);
  for (int k = 0; k < 200; ++k) {
    const recipe r = random_recipe(random, 1, 1 + random() % 300);
    bytes frame = make(r);
    const auto p = parse_packet(frame);
    bytes wrong = frame;
    wrong[r.headers() + random() % r.payload] ^= 4;
    const bytes before = wrong;
    CHECK_FALSE(make_partial(wrong, *p));
    CHECK(wrong == before);
    REQUIRE(make_partial(frame, *p));
    CHECK(to_hex(frame) == to_hex(make(r, true)));
    store_be16(&frame[r.field_at()], 0x1234);
    store_pseudo_sum(frame, *p);
    CHECK(to_hex(frame) == to_hex(make(r, true)));
  }
}
