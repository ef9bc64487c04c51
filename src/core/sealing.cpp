// SPDX-License-Identifier: Apache-2.0
#include <lanloom/core/sealing.hpp>

#include <lanloom/wire/checksum.hpp>

#include <algorithm>
#include <array>

namespace lanloom::core {

namespace {

constexpr std::size_t ceiling(std::size_t bytes, std::size_t size) noexcept { return (bytes + size - 1) / size; }

// Bytes of payload that fit one datagram behind these headers; 0 when they cannot go in a train at all.
std::size_t fitting(const outgoing& frame, std::size_t room) noexcept {
  const std::size_t before = wire::train_header_size + frame.packet.payload;
  return frame.packet.payload > wire::max_train_headers || before >= room ? 0 : room - before;
}

// The size of the segments that a super-frame is cut into for a path; 0 when it must be cut into whole frames.
std::size_t train_size(const outgoing& frame, std::size_t room) noexcept {
  const std::size_t most = fitting(frame, room);
  if (frame.meta.segment_size <= most) return frame.meta.segment_size;
  return frame.may_be_cut ? most : 0;
}

// A header that is written over bytes in front of what it belongs to; they are put back if somebody needs them.
class stamp {
 public:
  explicit stamp(bool keep) noexcept : keep_(keep) {}
  ~stamp() { lift(); }
  stamp(const stamp&) = delete;
  stamp& operator=(const stamp&) = delete;

  void lift() noexcept {
    if (at_ != nullptr) std::copy_n(covered_.begin(), size_, at_);
    at_ = nullptr;
  }
  void press(bytes_view header, std::uint8_t* at) noexcept {
    lift();
    if (keep_) {
      at_ = at;
      size_ = header.size();
      std::copy_n(at, size_, covered_.begin());
    }
    std::copy(header.begin(), header.end(), at);
  }

 private:
  bool keep_;
  std::uint8_t* at_ = nullptr;
  std::size_t size_ = 0;
  std::array<std::uint8_t, wire::train_header_size + wire::max_train_headers> covered_;
};

}  // namespace

[[gnu::hot]] std::size_t sealing::datagrams_of(const outgoing& frame, std::size_t room) noexcept {
  if (frame.is != outgoing::shape::super) return wire::max_fragments;
  const std::size_t size = train_size(frame, room);
  if (size != 0) return std::max<std::size_t>(ceiling(frame.payload(), size), wire::max_fragments);
  return ceiling(frame.payload(), frame.meta.segment_size) * wire::max_fragments;
}

[[gnu::hot]] drop sealing::seal(outgoing& frame) noexcept {
  using shape = outgoing::shape;
  const std::size_t header = frame.is == shape::whole ? wire::frames_header_size : wire::train_header_size;
  if (frame.is != shape::super && header + frame.bytes.size() > room_ && !make_super(frame)) {
    if (frame.is == shape::partial) make_whole(frame);
    return seal_slices(frame.bytes);
  }
  switch (frame.is) {
    case shape::whole:
      return seal_whole(frame.bytes);
    case shape::partial:
      return seal_train(frame, frame.payload());
    case shape::super:
      if (const std::size_t size = train_size(frame, room_); size != 0) return seal_train(frame, size);
      return seal_segments(frame, frame.meta.segment_size);
  }
  return drop::none;
}

[[gnu::hot]] drop sealing::seal_whole(bytes_span frame) noexcept {
  const std::size_t stride = wire::frames_header_size + frame.size() + wire::data_overhead;
  const bytes_span sealed = out_.room(stride);
  if (sealed.empty()) return drop::outbox_full;
  const std::size_t used = under_.seal(1, sealed, stride, [&](std::size_t) noexcept {
    std::uint8_t* record = frame.data() - wire::frames_header_size;
    wire::format_frames_header(std::span<std::uint8_t, wire::frames_header_size>(record, wire::frames_header_size),
                               static_cast<std::uint16_t>(frame.size()));
    return bytes_view(record, wire::frames_header_size + frame.size());
  });
  out_.push_train(to_, peer_, used, stride);
  return drop::none;
}

drop sealing::seal_slices(bytes_span frame) noexcept {
  const std::size_t most = room_ - wire::fragment_header_size;
  const std::size_t slice = ceiling(frame.size(), ceiling(frame.size(), most));
  const std::size_t count = ceiling(frame.size(), slice);
  if (count > wire::max_fragments) return drop::long_frame;
  const std::size_t stride = wire::fragment_header_size + slice + wire::data_overhead;
  const bytes_span sealed = out_.room(count * stride);
  if (sealed.empty()) return drop::outbox_full;
  // Put back always: a whole frame may go to further peers.
  stamp header(true);
  const std::size_t used = under_.seal(count, sealed, stride, [&](std::size_t k) noexcept {
    std::array<std::uint8_t, wire::fragment_header_size> record;
    wire::format_fragment_header(record, static_cast<std::uint8_t>(k), static_cast<std::uint8_t>(count));
    std::uint8_t* const at = frame.data() + k * slice - record.size();
    header.press(record, at);
    return bytes_view(at, record.size() + std::min(slice, frame.size() - k * slice));
  });
  out_.push_train(to_, peer_, used, stride);
  return drop::none;
}

drop sealing::seal_train(const outgoing& frame, std::size_t size) noexcept {
  // Stamps of small segments reach back into the frame's own headers.
  std::array<std::uint8_t, wire::max_train_headers> room;
  const bytes_span headers(room.data(), frame.packet.payload);
  std::copy_n(frame.bytes.begin(), headers.size(), headers.begin());
  const std::size_t all = frame.payload();
  const std::size_t count = size == 0 ? 1 : ceiling(all, size);
  // All of it or nothing: a part would only take the room of others.
  const std::size_t stride = wire::train_header_size + headers.size() + size + wire::data_overhead;
  if (out_.room(count * stride).empty()) return drop::outbox_full;
  for (std::size_t first = 0; first < count; first += wire::max_train_segments) {
    const std::size_t last = std::min(first + wire::max_train_segments, count) - 1;
    const std::size_t end = last + 1 == count ? all : (last + 1) * size;
    const wire::segment_run run{first, last, count, size, end - first * size};
    if (const drop lost = seal_part(frame, headers, run); lost != drop::none) return lost;
  }
  return drop::none;
}

drop sealing::seal_part(const outgoing& frame, bytes_view headers, const wire::segment_run& run) noexcept {
  const std::size_t count = run.last - run.first + 1;
  const std::size_t record_size = wire::train_header_size + headers.size();
  const std::size_t stride = record_size + run.size + wire::data_overhead;
  const bytes_span sealed = out_.room(count * stride);
  if (sealed.empty()) return drop::outbox_full;

  std::array<std::uint8_t, wire::train_header_size + wire::max_train_headers> record;
  const bytes_span copy(record.data() + wire::train_header_size, headers.size());
  std::copy(headers.begin(), headers.end(), copy.begin());
  if (count < run.count) wire::patch_headers(copy, frame.packet, run);
  const gso_kind gso = count == 1 ? gso_kind::none : frame.meta.gso;
  const bool ecn = gso != gso_kind::none && frame.meta.ecn && run.first == 0;

  stamp header(frame.flooded);
  const std::size_t used = under_.seal(count, sealed, stride, [&](std::size_t k) noexcept {
    wire::format_train_header(std::span<std::uint8_t, wire::train_header_size>(record.data(), wire::train_header_size),
                              gso, ecn, static_cast<std::uint8_t>(k), static_cast<std::uint8_t>(count), headers.size());
    const std::size_t from = (run.first + k) * run.size;
    std::uint8_t* const at = frame.bytes.data() + headers.size() + from - record_size;
    header.press(bytes_view(record).first(record_size), at);
    return bytes_view(at, record_size + std::min(run.size, run.first * run.size + run.payload - from));
  });
  out_.push_train(to_, peer_, used, stride);
  return drop::none;
}

drop sealing::seal_segments(const outgoing& frame, std::size_t size) noexcept {
  const std::size_t all = frame.payload();
  const std::size_t count = ceiling(all, size);
  for (std::size_t k = 0; k < count; ++k) {
    const std::size_t here = std::min(size, all - k * size);
    const bytes_span whole = scratch_.first(frame.packet.payload + here);
    std::copy_n(frame.bytes.begin(), frame.packet.payload, whole.begin());
    wire::patch_headers(whole, frame.packet, {k, k, count, size, here});
    const auto from = frame.bytes.subspan(frame.packet.payload + k * size, here);
    std::copy(from.begin(), from.end(), whole.begin() + static_cast<std::ptrdiff_t>(frame.packet.payload));
    static_cast<void>(wire::complete_checksum(whole, frame.packet.transport, frame.packet.checksum_offset()));
    const bool fits = wire::frames_header_size + whole.size() <= room_;
    if (const drop lost = fits ? seal_whole(whole) : seal_slices(whole); lost != drop::none) return lost;
  }
  return drop::none;
}

}  // namespace lanloom::core
