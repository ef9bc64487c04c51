// SPDX-License-Identifier: Apache-2.0
#include <lanloom/core/outgoing.hpp>

#include <lanloom/wire/checksum.hpp>
#include <lanloom/wire/record.hpp>

namespace lanloom::core {

namespace {

// Up to here it costs less to complete a checksum, and to let frames share a datagram, than to carry it partial.
constexpr std::size_t small_frame = 512;

gso_kind kind_of(const wire::packet& p) noexcept {
  if (!p.is_tcp) return gso_kind::udp;
  return p.is_v4 ? gso_kind::tcp4 : gso_kind::tcp6;
}

bool sums_where(const offload& meta, const wire::packet& p) noexcept {
  return meta.checksum_start == p.transport && meta.checksum_offset == p.checksum_offset();
}

[[gnu::hot]] drop parse_single(std::size_t max_frame, outgoing& out) noexcept {
  if (out.bytes.size() > max_frame) return drop::long_frame;
  if (!out.meta.partial_checksum) return drop::none;
  const auto found = out.bytes.size() > small_frame ? wire::parse_packet(out.bytes) : std::nullopt;
  if (found && sums_where(out.meta, *found) && found->payload <= wire::max_train_headers &&
      found->stated <= out.bytes.size() - found->payload) {
    out.is = outgoing::shape::partial;
    out.packet = *found;
    return drop::none;
  }
  if (!wire::complete_checksum(out.bytes, out.meta.checksum_start, out.meta.checksum_offset)) return drop::bad_offload;
  out.meta = {};
  return drop::none;
}

// CWR of a single packet may be a bit of a counter that each segment repeats (Accurate ECN); of a super-frame the
// kernel says what it is.
bool may_be_cut_alone(bytes_view headers, const wire::packet& of) noexcept {
  return wire::may_be_cut(headers, of) && !wire::has_cwr(headers, of);
}

}  // namespace

[[gnu::hot]] drop parse_outgoing(const super_frame& frame, std::size_t max_frame, outgoing& out) noexcept {
  out.bytes = frame.bytes;
  out.meta = frame.meta;
  if (frame.meta.gso == gso_kind::none) return parse_single(max_frame, out);

  const auto found = wire::parse_packet(frame.bytes);
  if (!found || kind_of(*found) != frame.meta.gso || frame.meta.segment_size == 0) return drop::bad_offload;
  if (found->stated == 0 || found->stated != frame.bytes.size() - found->payload) return drop::bad_offload;
  out.packet = *found;
  if (!sums_where(frame.meta, *found)) wire::store_pseudo_sum(out.bytes, *found);
  out.meta.partial_checksum = true;
  out.meta.ecn = frame.meta.ecn && found->is_tcp;
  out.meta.checksum_start = static_cast<std::uint16_t>(found->transport);
  out.meta.checksum_offset = static_cast<std::uint16_t>(found->checksum_offset());
  if (found->stated <= frame.meta.segment_size) {
    out.meta.gso = gso_kind::none;
    out.meta.ecn = false;
    out.meta.segment_size = 0;
    return parse_single(max_frame, out);
  }
  out.is = outgoing::shape::super;
  out.may_be_cut = wire::may_be_cut(out.headers(), *found);
  // The bridge lets such frames pass whatever its MTU is.
  if (found->payload + frame.meta.segment_size > max_frame) {
    if (!out.may_be_cut || found->payload >= max_frame) return drop::long_frame;
    out.meta.segment_size = static_cast<std::uint16_t>(max_frame - found->payload);
  }
  return drop::none;
}

bool make_super(outgoing& frame) noexcept {
  if (frame.is == outgoing::shape::whole) {
    const auto found = wire::parse_packet(frame.bytes);
    if (!found || found->payload > wire::max_train_headers || found->stated == 0) return false;
    if (found->stated != frame.bytes.size() - found->payload) return false;
    if (!may_be_cut_alone(frame.bytes, *found) || !wire::make_partial(frame.bytes, *found)) return false;
    frame.packet = *found;
  } else if (frame.is == outgoing::shape::partial) {
    if (frame.packet.stated == 0 || frame.packet.stated != frame.payload()) return false;
    if (!may_be_cut_alone(frame.headers(), frame.packet)) return false;
  }
  frame.is = outgoing::shape::super;
  frame.may_be_cut = true;
  frame.meta.partial_checksum = true;
  frame.meta.gso = kind_of(frame.packet);
  frame.meta.ecn = false;
  frame.meta.checksum_start = static_cast<std::uint16_t>(frame.packet.transport);
  frame.meta.checksum_offset = static_cast<std::uint16_t>(frame.packet.checksum_offset());
  frame.meta.segment_size = static_cast<std::uint16_t>(frame.payload());
  return true;
}

void make_whole(outgoing& frame) noexcept {
  // The positions were found by parsing, so they lie in the frame.
  static_cast<void>(wire::complete_checksum(frame.bytes, frame.packet.transport, frame.packet.checksum_offset()));
  frame.is = outgoing::shape::whole;
  frame.meta = {};
}

}  // namespace lanloom::core
