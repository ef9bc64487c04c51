// SPDX-License-Identifier: Apache-2.0
#include <lanloom/wire/probe.hpp>

#include <algorithm>

namespace lanloom::wire {

namespace {
constexpr std::array<std::uint8_t, 8> magic{'l', 'a', 'n', 'l', 'o', 'o', 'm', 1};  // the last byte is the version

constexpr std::size_t at_source = 6;
constexpr std::size_t at_type = 12;
constexpr std::size_t at_magic = 14;
constexpr std::size_t at_network = 22;
constexpr std::size_t at_sender = 38;
constexpr std::size_t at_nonce = 70;
constexpr std::size_t at_closed = 78;
constexpr std::size_t at_reserved = 79;
}  // namespace

std::optional<loop_probe> parse_probe(bytes_view frame) noexcept {
  // Nearly every frame ends here.
  if (frame.size() < probe_size || load_be16(&frame[at_type]) != probe_ethertype) return std::nullopt;
  if (!std::equal(magic.begin(), magic.end(), &frame[at_magic])) return std::nullopt;
  const auto is_zero = [](std::uint8_t b) { return b == 0; };
  if (frame[at_closed] > 1 || !std::all_of(&frame[at_reserved], &frame[at_reserved] + 3, is_zero)) return std::nullopt;
  loop_probe probe;
  std::copy_n(&frame[at_network], probe.network.size(), probe.network.begin());
  std::copy_n(&frame[at_sender], probe.sender.size(), probe.sender.begin());
  probe.nonce = load_le64(&frame[at_nonce]);
  probe.closed = frame[at_closed] == 1;
  return probe;
}

void format_probe(std::span<std::uint8_t, probe_size> out, const mac_address& source,
                  const loop_probe& probe) noexcept {
  std::fill(out.begin(), out.end(), std::uint8_t{0});
  std::copy(probe_destination.bytes.begin(), probe_destination.bytes.end(), out.begin());
  std::copy(source.bytes.begin(), source.bytes.end(), &out[at_source]);
  store_be16(&out[at_type], probe_ethertype);
  std::copy(magic.begin(), magic.end(), &out[at_magic]);
  std::copy(probe.network.begin(), probe.network.end(), &out[at_network]);
  std::copy(probe.sender.begin(), probe.sender.end(), &out[at_sender]);
  store_le64(&out[at_nonce], probe.nonce);
  out[at_closed] = probe.closed ? 1 : 0;
}

}  // namespace lanloom::wire
