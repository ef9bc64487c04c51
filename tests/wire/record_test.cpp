// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <lanloom/wire/record.hpp>

#include "wire/packets.hpp"

using namespace lanloom;
using namespace lanloom::wire;

namespace {

template <class Kind>
bool is(const record& r) {
  return std::holds_alternative<Kind>(r);
}

bytes frame_record(const std::vector<std::size_t>& lengths) {
  bytes out{0x10};
  std::uint8_t fill = 1;
  for (const auto length : lengths) {
    bytes header(2);
    store_le16(header.data(), static_cast<std::uint16_t>(length));
    out = std::move(out) + header + bytes(length, fill++);
  }
  return out;
}

struct walk_result {
  std::vector<bytes_view> frames;
  bool failed;
};
walk_result walk(const bytes& plain) {
  auto r = parse_record(plain);
  REQUIRE(is<frames_view>(r));
  auto& view = std::get<frames_view>(r);
  walk_result out{};
  while (const auto frame = view.next()) out.frames.push_back(*frame);
  out.failed = view.failed();
  CHECK(!view.next());  // stays at its end
  CHECK(view.failed() == out.failed);
  return out;
}

}  // namespace

TEST_CASE("records: nothing is a keepalive") { CHECK(is<keepalive>(parse_record({}))); }

TEST_CASE("records: first bytes other than 10, 2x, 30 and 40 are bad") {
  for (int first = 0; first < 256; ++first) {
    bytes plain(40, 0);
    plain[0] = static_cast<std::uint8_t>(first);
    plain[1] = 9;  // a fragment's index, and a control type nobody knows
    plain[2] = 10;
    const auto r = parse_record(plain);
    CAPTURE(first);
    CHECK(is<frames_view>(r) == (first == 0x10));
    CHECK(is<fragment_view>(r) == (first == 0x30));
    CHECK(is<unknown_control>(r) == (first == 0x40));
    const bool train = first == 0x21 || first == 0x24 || first == 0x25 || first == 0x29 || first == 0x2c;
    CHECK(is<train_view>(r) == train);
    CHECK(is<bad_record>(r) == (first != 0x10 && !train && first != 0x30 && first != 0x40));
    CHECK(is<bad_record>(parse_record(bytes{static_cast<std::uint8_t>(first)})));
  }
}

TEST_CASE("frames: whole records walk to their end") {
  for (const std::vector<std::size_t>& lengths :
       {std::vector<std::size_t>{14}, {15}, {14, 14}, {60, 14, 1514, 9238}, {65535}, {14, 65535}}) {
    const auto plain = frame_record(lengths);
    const auto got = walk(plain);
    CHECK(!got.failed);
    REQUIRE(got.frames.size() == lengths.size());
    const std::uint8_t* at = plain.data() + 1;
    for (std::size_t i = 0; i < lengths.size(); ++i) {
      CHECK(got.frames[i].size() == lengths[i]);
      CHECK(got.frames[i].data() == at + 2);
      at += 2 + lengths[i];
    }
  }
}

TEST_CASE("frames: a record without a frame is bad") { CHECK(is<bad_record>(parse_record(hex("10")))); }

TEST_CASE("frames: half a length, and every length under 14, stops the walk") {
  CHECK(walk(hex("10 0e")).failed);
  for (std::size_t length = 0; length <= 20; ++length) {
    const auto got = walk(frame_record({length}));
    CAPTURE(length);
    CHECK(got.failed == (length < 14));
    CHECK(got.frames.size() == (length < 14 ? 0 : 1));
  }
}

TEST_CASE("frames: cut at every position, the whole frames before the cut are good and the rest is refused") {
  const std::vector<std::size_t> lengths{14, 20, 15};
  const auto whole = frame_record(lengths);
  const std::vector<std::size_t> ends{1, 17, 39, 56};
  REQUIRE(whole.size() == 56);
  for (std::size_t size = 2; size <= whole.size(); ++size) {
    const bytes cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));  // own memory: overreads show
    const auto got = walk(cut);
    std::size_t good = 0;
    bool at_end = false;
    for (std::size_t i = 1; i < ends.size(); ++i) {
      if (ends[i] <= size) good = i;
      at_end = at_end || ends[i] == size;
    }
    CAPTURE(size);
    REQUIRE(got.frames.size() == good);
    REQUIRE(got.failed == !at_end);
  }
}

TEST_CASE("frames: every wrong length in the second place leaves the first frame and refuses the rest") {
  for (unsigned length = 0; length <= 0xffff; ++length) {
    auto plain = frame_record({14, 14});
    store_le16(&plain[17], static_cast<std::uint16_t>(length));
    const auto got = walk(plain);
    CAPTURE(length);
    REQUIRE(got.failed == (length != 14));
    REQUIRE(got.frames.size() == (length == 14 ? 2 : 1));
  }
}

TEST_CASE("fragment: pinned, and every index with every count") {
  const auto plain = hex("30 02 05 00 a1a2a3");
  const auto r = parse_record(plain);
  REQUIRE(is<fragment_view>(r));
  CHECK(std::get<fragment_view>(r).index == 2);
  CHECK(std::get<fragment_view>(r).count == 5);
  CHECK(to_hex(std::get<fragment_view>(r).slice) == "a1a2a3");

  for (int index = 0; index < 256; ++index) {
    for (int count = 0; count < 256; ++count) {
      const bytes b{0x30, static_cast<std::uint8_t>(index), static_cast<std::uint8_t>(count), 0, 0x77};
      CAPTURE(index);
      CAPTURE(count);
      REQUIRE(is<fragment_view>(parse_record(b)) == (count >= 2 && count <= 64 && index < count));
    }
  }
}

TEST_CASE("fragment: byte 3 is zero and the slice has at least one byte") {
  for (int value = 0; value < 256; ++value) {
    const bytes b{0x30, 0, 2, static_cast<std::uint8_t>(value), 0x77};
    CHECK(is<fragment_view>(parse_record(b)) == (value == 0));
  }
  const auto whole = hex("30 00 02 00 77 78");
  for (std::size_t size = 1; size <= whole.size(); ++size) {
    const bytes cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
    CHECK(is<fragment_view>(parse_record(cut)) == (size >= 5));
  }
}

TEST_CASE("ping: any length from 10 to 65535, all zeros behind the token") {
  const auto head = hex("40 01 8877665544332211");
  for (std::size_t size = 2; size <= 1500; ++size) {
    auto plain = head + bytes(1500, 0);
    plain.resize(size);
    plain.shrink_to_fit();
    const auto r = parse_record(plain);
    CAPTURE(size);
    REQUIRE(is<ping>(r) == (size >= 10));
    if (size < 10) {
      REQUIRE(is<bad_record>(r));
    } else {
      REQUIRE(std::get<ping>(r).token == 0x1122334455667788);
      REQUIRE(std::get<ping>(r).size == size);
    }
  }
  CHECK(is<ping>(parse_record(head + bytes(65525, 0))));
  CHECK(is<bad_record>(parse_record(head + bytes(65526, 0))));

  auto plain = head + bytes(90, 0);
  for (std::size_t at = 10; at < plain.size(); ++at) {
    plain[at] = 1;
    CAPTURE(at);
    REQUIRE(is<bad_record>(parse_record(plain)));
    plain[at] = 0;
  }
}

TEST_CASE("pong: exactly 12 bytes") {
  const auto whole = hex("40 02 8877665544332211 dc05") + bytes(4, 0);
  for (std::size_t size = 2; size <= whole.size(); ++size) {
    const bytes cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
    const auto r = parse_record(cut);
    CAPTURE(size);
    CHECK((is<pong>(r) == (size == 12)));
    if (size == 12) {
      CHECK(std::get<pong>(r).token == 0x1122334455667788);
      CHECK(std::get<pong>(r).size == 1500);
    } else {
      CHECK(is<bad_record>(r));
    }
  }
}

TEST_CASE("bye and forget: exactly 2 bytes; control without a type is bad; other types are unknown whatever follows") {
  CHECK(is<bye>(parse_record(hex("40 03"))));
  CHECK(is<bad_record>(parse_record(hex("40 03 00"))));
  CHECK(is<forget>(parse_record(hex("40 04"))));
  CHECK(is<bad_record>(parse_record(hex("40 04 00"))));
  CHECK(is<bad_record>(parse_record(hex("40"))));
  for (int type = 0; type < 256; ++type) {
    if (type >= 1 && type <= 4) continue;
    for (const std::size_t rest : {0U, 8U, 10U, 1000U}) {
      CHECK(is<unknown_control>(parse_record(bytes{0x40, static_cast<std::uint8_t>(type)} + bytes(rest, 0xff))));
    }
  }
}

TEST_CASE("control: a low nibble is refused for every control type") {
  for (std::uint8_t low = 1; low < 16; ++low) {
    for (std::uint8_t type = 0; type < 6; ++type) {
      CHECK(is<bad_record>(parse_record(bytes{static_cast<std::uint8_t>(0x40 | low), type} + bytes(10, 0))));
    }
  }
}

TEST_CASE("records: what format writes, as hex, and parsed back") {
  bytes b(frames_header_size, 0xff);
  format_frames_header(bytes_span(b).first<frames_header_size>(), 1514);
  CHECK(to_hex(b) == "10ea05");
  CHECK(walk(b + bytes(1514, 9)).frames.size() == 1);

  b.assign(fragment_header_size, 0xff);
  format_fragment_header(bytes_span(b).first<fragment_header_size>(), 63, 64);
  CHECK(to_hex(b) == "303f4000");
  CHECK(std::get<fragment_view>(parse_record(b + bytes(1, 9))).index == 63);

  b.assign(ping_size, 0xff);
  format_ping(bytes_span(b).first<ping_size>(), 0x1122334455667788);
  CHECK(to_hex(b) == "40018877665544332211");
  CHECK(std::get<ping>(parse_record(b)).token == 0x1122334455667788);
  CHECK(std::get<ping>(parse_record(b)).size == 10);

  b.assign(pong_size, 0xff);
  format_pong(bytes_span(b).first<pong_size>(), 0x1122334455667788, 1452);
  CHECK(to_hex(b) == "40028877665544332211ac05");
  CHECK(std::get<pong>(parse_record(b)).token == 0x1122334455667788);
  CHECK(std::get<pong>(parse_record(b)).size == 1452);

  b.assign(bye_size, 0xff);
  format_bye(bytes_span(b).first<bye_size>());
  CHECK(to_hex(b) == "4003");
  CHECK(is<bye>(parse_record(b)));

  b.assign(forget_size, 0xff);
  format_forget(bytes_span(b).first<forget_size>());
  CHECK(to_hex(b) == "4004");
  CHECK(is<forget>(parse_record(b)));
}

TEST_CASE("train: header bytes, and what they may say") {
  const auto is_train = [](const char* text) { return is<train_view>(parse_record(hex(text))); };
  CHECK(is_train("20 00 01 00"));
  CHECK(is_train("21 00 02 01 ff"));
  CHECK(is_train("2c 7f 80 00 aa"));
  CHECK(is_train("25 01 02 00 aa"));
  CHECK_FALSE(is_train("20 00 01"));        // cut
  CHECK_FALSE(is_train("21 00 02 02 ff"));  // headers cut
  CHECK_FALSE(is_train("22 00 02 00"));     // a gso that does not exist
  CHECK_FALSE(is_train("28 00 01 00"));     // ecn without TCP
  CHECK_FALSE(is_train("2d 00 02 00"));
  CHECK_FALSE(is_train("21 02 02 00"));  // index
  CHECK_FALSE(is_train("21 00 00 00"));
  CHECK_FALSE(is_train("21 00 81 00"));  // 129
  CHECK_FALSE(is_train("21 00 01 00"));  // one segment is no train
  CHECK_FALSE(is_train("20 00 02 00"));  // two are

  for (const gso_kind gso : {gso_kind::none, gso_kind::tcp4, gso_kind::tcp6, gso_kind::udp}) {
    for (const bool ecn : {false, true}) {
      if (ecn && gso != gso_kind::tcp4 && gso != gso_kind::tcp6) continue;
      const auto count = static_cast<std::uint8_t>(gso == gso_kind::none ? 1 : 100);
      const auto index = static_cast<std::uint8_t>(count - 1);
      bytes plain(train_header_size);
      format_train_header(std::span<std::uint8_t, train_header_size>(plain.data(), train_header_size), gso, ecn, index,
                          count, 3);
      const auto r = parse_record(plain + bytes{1, 2, 3, 4, 5});
      REQUIRE(is<train_view>(r));
      const auto& view = std::get<train_view>(r);
      CHECK(view.gso == gso);
      CHECK(view.ecn == ecn);
      CHECK(view.index == index);
      CHECK(view.count == count);
      CHECK(view.headers.size() == 3);
      CHECK(view.payload.size() == 2);
    }
  }
}

TEST_CASE("train: headers end where they are said to, and are of the kind they are said to be") {
  recipe r;
  for (const bool v4 : {true, false}) {
    for (const bool tcp : {true, false}) {
      r.v4 = v4;
      r.tcp = tcp;
      const bytes frame = make(r);
      const auto good = [&](gso_kind gso, std::size_t length) {
        const bytes_view f(frame);
        return examine_headers({gso, false, 0, 2, f.first(length), f.subspan(length)}).has_value();
      };
      CHECK(good(gso_kind::none, r.headers()));
      CHECK(good(gso_kind::tcp4, r.headers()) == (v4 && tcp));
      CHECK(good(gso_kind::tcp6, r.headers()) == (!v4 && tcp));
      CHECK(good(gso_kind::udp, r.headers()) == !tcp);
      CHECK_FALSE(good(gso_kind::none, r.headers() - 1));
      CHECK_FALSE(good(gso_kind::none, r.headers() + 1));
    }
  }
}

TEST_CASE("train: the size of segments follows from one of them, or there is no such train") {
  const bytes filler(2000);
  // Every payload and size up to 30: what a sender makes is accepted, and nothing else gives that size.
  for (std::size_t stated = 1; stated <= 30; ++stated) {
    packet p;
    p.stated = stated;
    for (std::size_t here = 0; here <= 31; ++here) {
      const auto payload = bytes_view(filler).first(here);
      const auto alone = segment_size({gso_kind::none, false, 0, 1, {}, payload}, p);
      CHECK(alone == (here >= stated ? std::optional(here) : std::nullopt));
      for (std::uint8_t count = 2; count <= 31; ++count) {
        for (std::uint8_t index = 0; index < count; ++index) {
          std::optional<std::size_t> expected;
          for (std::size_t size = 1; size < stated; ++size) {
            if ((stated + size - 1) / size != count) continue;
            const std::size_t mine = index + 1U < count ? size : stated - size * (count - 1U);
            if (mine == here) expected = size;
          }
          const auto got = segment_size({gso_kind::tcp4, false, index, count, {}, payload}, p);
          REQUIRE(got == expected);
        }
      }
    }
  }
  packet p;
  p.stated = 0;
  CHECK(segment_size({gso_kind::none, false, 0, 1, {}, {}}, p) == std::optional<std::size_t>(0));
}
