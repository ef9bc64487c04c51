// SPDX-License-Identifier: Apache-2.0
#include <lanloom/wire/record.hpp>

#include <algorithm>
#include <limits>

namespace lanloom::wire {

namespace {

// First byte of a record: kind in the high nibble, and for all kinds but trains nothing in the low one.
enum class record_kind : std::uint8_t { frames = 0x10, train = 0x20, fragment = 0x30, control = 0x40 };
enum class control_type : std::uint8_t { ping = 1, pong = 2, bye = 3, forget = 4 };

constexpr std::size_t length_size = next_frame_header_size;
constexpr std::uint8_t kind_bits = 0xf0;
constexpr std::uint8_t train_ecn = 0x08;
constexpr std::uint8_t train_gso_bits = 0x07;
constexpr std::size_t max_plain_size = std::numeric_limits<std::uint16_t>::max();

constexpr std::uint8_t byte_of(record_kind kind) noexcept { return static_cast<std::uint8_t>(kind); }
constexpr std::uint8_t byte_of(control_type type) noexcept { return static_cast<std::uint8_t>(type); }

std::optional<gso_kind> parse_gso(std::uint8_t value) noexcept {
  for (const gso_kind known : {gso_kind::none, gso_kind::tcp4, gso_kind::tcp6, gso_kind::udp}) {
    if (value == static_cast<std::uint8_t>(known)) return known;
  }
  return std::nullopt;
}

record parse_train(bytes_view plain) noexcept {
  if (plain.size() < train_header_size) return bad_record{};
  const auto gso = parse_gso(plain[0] & train_gso_bits);
  const bool ecn = (plain[0] & train_ecn) != 0;
  const std::uint8_t index = plain[1];
  const std::uint8_t count = plain[2];
  const std::size_t header_length = plain[3];
  if (!gso || (ecn && *gso != gso_kind::tcp4 && *gso != gso_kind::tcp6)) return bad_record{};
  if (index >= count || count > max_train_segments || (count == 1) != (*gso == gso_kind::none)) return bad_record{};
  const bytes_view rest = plain.subspan(train_header_size);
  if (header_length > rest.size()) return bad_record{};
  return train_view{*gso, ecn, index, count, rest.first(header_length), rest.subspan(header_length)};
}

record parse_fragment(bytes_view plain) noexcept {
  if (plain.size() <= fragment_header_size) return bad_record{};
  const std::uint8_t index = plain[1];
  const std::uint8_t count = plain[2];
  if (count < 2 || count > max_fragments || index >= count || plain[3] != 0) return bad_record{};
  return fragment_view{index, count, plain.subspan(fragment_header_size)};
}

record parse_ping(bytes_view plain) noexcept {
  if (plain.size() < ping_size || plain.size() > max_plain_size) return bad_record{};
  const bytes_view fill = plain.subspan(ping_size);
  if (!std::all_of(fill.begin(), fill.end(), [](std::uint8_t b) { return b == 0; })) return bad_record{};
  return ping{load_le64(&plain[2]), static_cast<std::uint16_t>(plain.size())};
}

record parse_control(bytes_view plain) noexcept {
  if (plain.size() < bye_size) return bad_record{};
  switch (plain[1]) {
    case byte_of(control_type::ping):
      return parse_ping(plain);
    case byte_of(control_type::pong):
      if (plain.size() != pong_size) return bad_record{};
      return pong{load_le64(&plain[2]), load_le16(&plain[10])};
    case byte_of(control_type::bye):
      if (plain.size() != bye_size) return bad_record{};
      return bye{};
    case byte_of(control_type::forget):
      if (plain.size() != forget_size) return bad_record{};
      return forget{};
    default:
      return unknown_control{};
  }
}

}  // namespace

[[gnu::hot]] std::optional<bytes_view> frames_view::next() noexcept {
  if (rest_.empty() || failed_) return std::nullopt;
  const std::size_t length = rest_.size() < length_size ? 0 : load_le16(rest_.data());
  if (length < min_frame_size || length > rest_.size() - length_size) {
    failed_ = true;
    return std::nullopt;
  }
  const bytes_view frame = rest_.subspan(length_size, length);
  rest_ = rest_.subspan(length_size + length);
  return frame;
}

[[gnu::hot]] record parse_record(bytes_view plain) noexcept {
  if (plain.empty()) return keepalive{};
  if ((plain[0] & kind_bits) == byte_of(record_kind::train)) return parse_train(plain);
  switch (plain[0]) {
    case byte_of(record_kind::frames):
      if (plain.size() == 1) return bad_record{};
      return frames_view(plain.subspan(1));
    case byte_of(record_kind::fragment):
      return parse_fragment(plain);
    case byte_of(record_kind::control):
      return parse_control(plain);
    default:
      return bad_record{};
  }
}

std::optional<packet> examine_headers(const train_view& segment) noexcept {
  const auto found = parse_packet(segment.headers);
  if (!found || found->payload != segment.headers.size()) return std::nullopt;
  switch (segment.gso) {
    case gso_kind::none:
      return found;
    case gso_kind::tcp4:
      return found->is_tcp && found->is_v4 ? found : std::nullopt;
    case gso_kind::tcp6:
      return found->is_tcp && !found->is_v4 ? found : std::nullopt;
    case gso_kind::udp:
      return found->is_tcp ? std::nullopt : found;
  }
  return std::nullopt;
}

std::optional<std::size_t> segment_size(const train_view& segment, const packet& of) noexcept {
  const std::size_t here = segment.payload.size();
  const std::size_t count = segment.count;
  const auto when = [](bool holds, std::size_t size) { return holds ? std::optional(size) : std::nullopt; };
  // What lies behind the end of the IP packet is kept.
  if (segment.gso == gso_kind::none) return when(here >= of.stated, here);
  if (here == 0 || here >= of.stated) return std::nullopt;
  if (segment.index + std::size_t{1} < count) return when((of.stated + here - 1) / here == count, here);
  const std::size_t others = of.stated - here;
  const std::size_t size = others / (count - 1);
  return when(others % (count - 1) == 0 && size >= here, size);
}

[[gnu::hot]] void format_frames_header(std::span<std::uint8_t, frames_header_size> out,
                                       std::uint16_t frame_length) noexcept {
  out[0] = byte_of(record_kind::frames);
  store_le16(&out[1], frame_length);
}

void format_next_frame_header(std::span<std::uint8_t, next_frame_header_size> out,
                              std::uint16_t frame_length) noexcept {
  store_le16(out.data(), frame_length);
}

void format_train_header(std::span<std::uint8_t, train_header_size> out, gso_kind gso, bool ecn, std::uint8_t index,
                         std::uint8_t count, std::size_t header_length) noexcept {
  const unsigned low = static_cast<unsigned>(gso) | (ecn ? train_ecn : 0U);
  out[0] = static_cast<std::uint8_t>(byte_of(record_kind::train) | low);
  out[1] = index;
  out[2] = count;
  out[3] = static_cast<std::uint8_t>(header_length);
}

void format_fragment_header(std::span<std::uint8_t, fragment_header_size> out, std::uint8_t index,
                            std::uint8_t count) noexcept {
  out[0] = byte_of(record_kind::fragment);
  out[1] = index;
  out[2] = count;
  out[3] = 0;
}

void format_ping(std::span<std::uint8_t, ping_size> out, std::uint64_t token) noexcept {
  out[0] = byte_of(record_kind::control);
  out[1] = byte_of(control_type::ping);
  store_le64(&out[2], token);
}

void format_pong(std::span<std::uint8_t, pong_size> out, std::uint64_t token, std::uint16_t size) noexcept {
  out[0] = byte_of(record_kind::control);
  out[1] = byte_of(control_type::pong);
  store_le64(&out[2], token);
  store_le16(&out[10], size);
}

void format_bye(std::span<std::uint8_t, bye_size> out) noexcept {
  out[0] = byte_of(record_kind::control);
  out[1] = byte_of(control_type::bye);
}

void format_forget(std::span<std::uint8_t, forget_size> out) noexcept {
  out[0] = byte_of(record_kind::control);
  out[1] = byte_of(control_type::forget);
}

}  // namespace lanloom::wire
