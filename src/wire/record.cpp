// SPDX-License-Identifier: Apache-2.0
#include <lanloom/wire/record.hpp>

#include <algorithm>
#include <limits>

namespace lanloom::wire {

namespace {

// First byte of a record: kind in the high nibble, and for these three kinds nothing in the low one.
enum class record_kind : std::uint8_t { frames = 0x10, fragment = 0x30, control = 0x40 };
enum class control_type : std::uint8_t { ping = 1, pong = 2, bye = 3, forget = 4 };

constexpr std::size_t length_size = 2;
constexpr std::size_t max_plain_size = std::numeric_limits<std::uint16_t>::max();

constexpr std::uint8_t byte_of(record_kind kind) noexcept { return static_cast<std::uint8_t>(kind); }
constexpr std::uint8_t byte_of(control_type type) noexcept { return static_cast<std::uint8_t>(type); }

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

std::optional<bytes_view> frames_view::next() noexcept {
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

record parse_record(bytes_view plain) noexcept {
  if (plain.empty()) return keepalive{};
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

void format_frames_header(std::span<std::uint8_t, frames_header_size> out, std::uint16_t frame_length) noexcept {
  out[0] = byte_of(record_kind::frames);
  store_le16(&out[1], frame_length);
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
