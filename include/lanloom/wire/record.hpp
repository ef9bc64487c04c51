// SPDX-License-Identifier: Apache-2.0
// record.hpp - the plaintext of a data datagram: nothing (keepalive), or one record. PROTOCOL.md 4.
//
//   kind 1 frames    0x10, then { length u16, frame } to the end
//   kind 2 train     0x20 | ecn << 3 | gso, index, count, header_length, headers, payload
//   kind 3 fragment  0x30, index, count 2..64, 0, slice
//   kind 4 control   0x40, type, body: 1 ping (token u64, zeros), 2 pong (token u64, size u16), 3 bye,
//                    4 forget (both nothing)
//
// Views borrow the plaintext. What parse does not accept is drop::bad_record (unknown control types: unknown_control).
#pragma once

#include <lanloom/base/super_frame.hpp>
#include <lanloom/wire/packet.hpp>

#include <optional>
#include <variant>

namespace lanloom::wire {

inline constexpr std::size_t frames_header_size = 3;      // kind byte and the first frame's length
inline constexpr std::size_t next_frame_header_size = 2;  // a further frame's length
inline constexpr std::size_t train_header_size = 4;
inline constexpr std::size_t max_train_segments = 128;
inline constexpr std::size_t max_train_headers = 255;
inline constexpr std::size_t fragment_header_size = 4;
inline constexpr std::uint8_t max_fragments = 64;
inline constexpr std::size_t ping_size = 10;
inline constexpr std::size_t pong_size = 12;
inline constexpr std::size_t bye_size = 2;
inline constexpr std::size_t forget_size = 2;
inline constexpr std::size_t min_frame_size = 14;
inline constexpr std::size_t frame_allowance = 22;  // a frame is at most MTU + 22 bytes: Ethernet header and two tags

// Walks the frames of a kind 1 record. next() gives each frame and then nothing; failed() tells whether the walk
// stopped at a length that does not fit (frames before it were good).
class frames_view {
 public:
  explicit frames_view(bytes_view after_kind_byte) noexcept : rest_(after_kind_byte) {}
  [[nodiscard]] std::optional<bytes_view> next() noexcept;
  [[nodiscard]] bool failed() const noexcept { return failed_; }

 private:
  bytes_view rest_;
  bool failed_ = false;
};

struct keepalive {};
// One segment of a train. parse() checked index and count, and that gso and ecn go together; examine() does the rest.
struct train_view {
  gso_kind gso;
  bool ecn;
  std::uint8_t index;
  std::uint8_t count;
  bytes_view headers;
  bytes_view payload;
};
struct fragment_view {
  std::uint8_t index;
  std::uint8_t count;
  bytes_view slice;  // at least 1 byte
};
struct ping {
  std::uint64_t token;
  std::uint16_t size;  // bytes of the whole plaintext
};
struct pong {
  std::uint64_t token;
  std::uint16_t size;
};
struct bye {};
struct forget {};  // hosts are reached another way now
struct unknown_control {};
struct bad_record {};

using record = std::variant<keepalive, frames_view, train_view, fragment_view, ping, pong, bye, forget, unknown_control,
                            bad_record>;

[[nodiscard]] record parse_record(bytes_view plain) noexcept;

// The packet that a segment's headers are of; nothing when they do not end where they are said to, or are of another
// kind than gso says.
[[nodiscard]] std::optional<packet> examine_headers(const train_view& segment) noexcept;
// The size of the segments of its train but the last; nothing when no train has such a segment.
[[nodiscard]] std::optional<std::size_t> segment_size(const train_view& segment, const packet& of) noexcept;

// Writes the header of a kind 1 record with one frame in front of it.
void format_frames_header(std::span<std::uint8_t, frames_header_size> out, std::uint16_t frame_length) noexcept;
// Writes the header of a further frame of that record.
void format_next_frame_header(std::span<std::uint8_t, next_frame_header_size> out, std::uint16_t frame_length) noexcept;
// REQUIRES header_length <= max_train_headers.
void format_train_header(std::span<std::uint8_t, train_header_size> out, gso_kind gso, bool ecn, std::uint8_t index,
                         std::uint8_t count, std::size_t header_length) noexcept;
void format_fragment_header(std::span<std::uint8_t, fragment_header_size> out, std::uint8_t index,
                            std::uint8_t count) noexcept;
void format_ping(std::span<std::uint8_t, ping_size> out, std::uint64_t token) noexcept;
void format_pong(std::span<std::uint8_t, pong_size> out, std::uint64_t token, std::uint16_t size) noexcept;
void format_bye(std::span<std::uint8_t, bye_size> out) noexcept;
void format_forget(std::span<std::uint8_t, forget_size> out) noexcept;

}  // namespace lanloom::wire
