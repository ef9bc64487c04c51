// SPDX-License-Identifier: Apache-2.0
#include <lanloom/core/runs.hpp>

#include <lanloom/wire/checksum.hpp>

#include <algorithm>
#include <array>
#include <cstring>

namespace lanloom::core {

namespace {

// What kernels before 6.9 take in one UDP super-frame.
constexpr std::size_t max_udp_segments = 64;
constexpr std::size_t max_packet = 65535;  // with its IP header

bool same_bytes(bytes_view a, bytes_view b) noexcept {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size()) == 0;
}

bool follows(const runs::segment& next, const runs::segment& before) noexcept {
  return next.session == before.session && next.counter == before.counter + 1 &&
         next.view.index == before.view.index + 1 && next.view.count == before.view.count &&
         next.view.gso == before.view.gso && next.view.ecn == before.view.ecn && next.size == before.size &&
         same_bytes(next.view.headers, before.view.headers);
}

// Whether the kernel, cutting a UDP super-frame that begins with `first`, would make `next` its packet number `k`. Both
// are single packets, `next` stands right behind number k - 1. One IPv4 id for all, as unconnected sockets with DF
// give, is not what it makes.
bool is_cut_of(const runs::segment& first, const runs::segment& next, std::size_t k) noexcept {
  const std::size_t header = first.view.headers.size();
  const std::size_t payload = next.view.payload.size();
  if (next.view.headers.size() != header || payload == 0 || payload > first.size) return false;
  if (next.packet.stated != payload || header - first.packet.ip + k * first.size + payload > max_packet) return false;
  std::array<std::uint8_t, wire::max_train_headers> room;
  const bytes_span expected = bytes_span(room).first(header);
  std::copy(first.view.headers.begin(), first.view.headers.end(), expected.begin());
  wire::patch_headers(expected, first.packet, {k, k, k + 1, first.size, payload});
  return same_bytes(expected, next.view.headers);
}

// Packets for a group meet the storm limit one by one; of headers with options the kernel joins none either.
bool may_be_joined(const runs::segment& first) noexcept {
  const wire::packet& packet = first.packet;
  if (first.view.count != 1 || packet.is_tcp || (first.view.headers[0] & 1U) != 0) return false;
  if (packet.transport - packet.ip != (packet.is_v4 ? 20U : 40U)) return false;
  return !wire::is_dhcp(first.view.headers, packet) && is_cut_of(first, first, 0);
}

bool is_joined(runs::run run) noexcept { return run.size() > 1 && run.front().view.count == 1; }

gso_kind gso_of(runs::run run) noexcept { return is_joined(run) ? gso_kind::udp : run.front().view.gso; }

// The headers of a run, in the outbox, with `more` bytes behind them.
bytes_span keep_headers(runs::run run, std::size_t payload, std::size_t more, outbox& out) noexcept {
  const runs::segment& first = run.front();
  const std::size_t size = first.view.headers.size();
  if (out.room(size + more).empty()) return {};
  const bytes_span kept = out.keep(size + more);
  std::copy(first.view.headers.begin(), first.view.headers.end(), kept.begin());
  if (run.size() < first.view.count || is_joined(run)) {
    wire::patch_headers(kept.first(size), first.packet,
                        {first.view.index, run.back().view.index, first.view.count, first.size, payload});
  }
  return kept;
}

offload meta_of(runs::run run) noexcept {
  const runs::segment& first = run.front();
  offload meta;
  meta.partial_checksum = true;
  meta.checksum_start = static_cast<std::uint16_t>(first.packet.transport);
  meta.checksum_offset = static_cast<std::uint16_t>(first.packet.checksum_offset());
  if (run.size() == 1) return meta;
  meta.gso = gso_of(run);
  meta.ecn = first.view.ecn && first.view.index == 0;
  meta.header_length = static_cast<std::uint16_t>(first.packet.payload);
  meta.segment_size = static_cast<std::uint16_t>(first.size);
  return meta;
}

drop write_partial(runs::run run, outbox& out) noexcept {
  std::array<bytes_view, wire::max_train_segments + 1> slices;
  std::size_t payload = 0;
  std::size_t used = 1;
  for (const runs::segment& one : run) {
    if (one.view.payload.empty()) continue;
    slices[used++] = one.view.payload;
    payload += one.view.payload.size();
  }
  slices[0] = keep_headers(run, payload, 0, out);
  if (slices[0].empty()) return drop::outbox_full;
  return out.push_frame(meta_of(run), std::span(slices).first(used)) ? drop::none : drop::outbox_full;
}

drop write_complete(runs::run one, outbox& out) noexcept {
  const bytes_view payload = one.front().view.payload;
  const bytes_span frame = keep_headers(one, payload.size(), payload.size(), out);
  if (frame.empty()) return drop::outbox_full;
  std::copy(payload.begin(), payload.end(), frame.end() - static_cast<std::ptrdiff_t>(payload.size()));
  const wire::packet& packet = one.front().packet;
  static_cast<void>(wire::complete_checksum(frame, packet.transport, packet.checksum_offset()));
  return out.push_frame({}, std::array{bytes_view(frame)}) ? drop::none : drop::outbox_full;
}

}  // namespace

const wire::packet* runs::known(const wire::train_view& view) const noexcept {
  if (segments_.empty()) return nullptr;
  const segment& last = segments_.back();
  return last.view.gso == view.gso && same_bytes(last.view.headers, view.headers) ? &last.packet : nullptr;
}

void runs::sort() noexcept {
  const auto earlier = [](const segment& a, const segment& b) {
    return a.session != b.session ? a.session < b.session : a.counter < b.counter;
  };
  if (!std::is_sorted(segments_.begin(), segments_.end(), earlier)) {
    std::sort(segments_.begin(), segments_.end(), earlier);
  }
}

std::size_t runs::run_at(std::size_t from) const noexcept {
  std::size_t size = 1;
  const segment& first = segments_[from];
  if (from + 1 < segments_.size() && may_be_joined(first)) {
    while (size < max_udp_segments && from + size < segments_.size()) {
      const segment& before = segments_[from + size - 1];
      const segment& next = segments_[from + size];
      const bool adjacent = next.session == first.session && next.counter == before.counter + 1;
      if (!adjacent || before.size != first.size || next.view.count != 1 || !is_cut_of(first, next, size)) break;
      ++size;
    }
    return size;
  }
  while (from + size < segments_.size() && follows(segments_[from + size], segments_[from + size - 1])) ++size;
  return size;
}

drop write_run(runs::run run, const tap_offloads& tap, outbox& out) noexcept {
  const runs::segment& first = run.front();
  const bool complete = !tap.checksum || wire::is_dhcp(first.view.headers, first.packet);
  std::size_t most = run.size();
  const gso_kind gso = gso_of(run);
  if (gso == gso_kind::udp) most = std::min(most, max_udp_segments);
  if (complete || !tap.takes(gso)) most = 1;
  for (; !run.empty(); run = run.subspan(std::min(most, run.size()))) {
    const runs::run part = run.first(std::min(most, run.size()));
    const drop lost = complete ? write_complete(part, out) : write_partial(part, out);
    if (lost != drop::none) return lost;
  }
  return drop::none;
}

}  // namespace lanloom::core
