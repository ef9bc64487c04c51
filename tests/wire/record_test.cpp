// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <lanloom/wire/record.hpp>

#include "wire/hex.hpp"

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

TEST_CASE("records: first bytes other than 10, 30 and 40 are bad, trains included") {
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
    CHECK(is<bad_record>(r) == (first != 0x10 && first != 0x30 && first != 0x40));
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
