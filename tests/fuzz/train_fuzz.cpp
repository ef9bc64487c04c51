// SPDX-License-Identifier: Apache-2.0
// train_fuzz.cpp - a batch of records as a peer with valid keys could send it, up to what is written to the TAP.
//
// The input is a list of { length u16, record }, after one byte that says what the TAP takes. Whatever comes: the
// kernel could accept each write, and nothing is longer than an IP packet with its Ethernet header.
#include <lanloom/core/lane.hpp>
#include <lanloom/crypto/random.hpp>

#include <algorithm>
#include <cstdlib>
#include <numeric>

using namespace lanloom;
using namespace lanloom::core;

namespace {

constexpr std::uint16_t mtu = 1500;
constexpr std::size_t most_records = 600;
constexpr time_point now{std::chrono::hours(1)};

void require(bool holds) {
  if (!holds) std::abort();
}

void check(const outbox::frame& f) {
  const std::size_t size = std::accumulate(f.slices.begin(), f.slices.end(), std::size_t{0},
                                           [](std::size_t sum, bytes_view s) { return sum + s.size(); });
  require(size >= wire::min_frame_size && size <= 65535 + wire::frame_allowance);
  if (f.meta.gso == gso_kind::none) require(size <= mtu + wire::frame_allowance);
  if (!f.meta.partial_checksum) return require(f.meta == offload{});
  const std::size_t field = std::size_t{f.meta.checksum_start} + f.meta.checksum_offset;
  require(f.slices[0].size() >= field + 2);  // the kernel wants it in the headers
  if (f.meta.gso == gso_kind::none) return;
  require(f.meta.segment_size > 0 && f.meta.segment_size != 0xffff);
  require(f.meta.header_length == f.slices[0].size());
  require(size - f.meta.header_length > f.meta.segment_size);
  require(f.slices.size() <= wire::max_train_segments + 1);
  for (std::size_t k = 1; k + 1 < f.slices.size(); ++k) require(f.slices[k].size() == f.meta.segment_size);
  require(!f.slices.back().empty() && f.slices.back().size() <= f.meta.segment_size);
}

struct receiver {
  explicit receiver(crypto::random source) : l(1, mtu, {}, source), id(l.reserve({}, source)) {
    l.set_remote({}, at);
    l.install(std::make_unique<session>(session::identity{{}, id, 1, true, mtu, now}, key(), key()));
    l.set_sending({}, id);
  }
  static crypto::aead_key key() { return {crypto::suite::chacha20_poly1305, crypto::secret<32>()}; }

  endpoint at = endpoint::v4({192, 0, 2, 1}, 4780);
  lane l;
  session_id id;
  outbox out;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* input, std::size_t size) {
  crypto::initialise();
  static receiver to(crypto::random(1));
  static session from({{}, {}, to.id.value, true, mtu, now}, receiver::key(), receiver::key());
  static std::vector<std::uint8_t> memory(most_records * 2048);

  bytes_view rest(input, size);
  if (rest.empty()) return 0;
  to.l.set_tap_offloads({(rest[0] & 1) != 0, (rest[0] & 2) != 0, (rest[0] & 4) != 0, (rest[0] & 8) != 0});
  rest = rest.subspan(1);
  std::vector<received> batch;
  for (std::size_t used = 0; rest.size() > 2 && batch.size() < most_records;) {
    const std::size_t length = std::min<std::size_t>({load_le16(rest.data()), rest.size() - 2, 2000});
    const bytes_span place = bytes_span(memory).subspan(used, length + wire::data_overhead);
    const bytes_view plain = rest.subspan(2, length);
    from.seal(1, place, place.size(), [&](std::size_t) noexcept { return plain; });
    batch.push_back({to.at, {place, place.size()}});
    used += place.size();
    rest = rest.subspan(2 + length);
  }
  to.l.on_datagrams(batch, now, to.out);
  for (const auto& f : to.out.frames()) check(f);
  to.out.clear();
  to.l.clear_events();
  return 0;
}
