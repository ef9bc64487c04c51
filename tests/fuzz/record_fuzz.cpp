// SPDX-License-Identifier: Apache-2.0
// record_fuzz.cpp - the plaintext of a data datagram as a peer with valid keys could send it.
#include <lanloom/wire/record.hpp>

#include <algorithm>
#include <array>
#include <cstdlib>

using namespace lanloom;
using namespace lanloom::wire;

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

struct checker {
  bytes_view plain;

  void starts_with(bytes_view head) const {
    require(head.size() <= plain.size() && std::equal(head.begin(), head.end(), plain.begin()));
  }

  void operator()(keepalive /*unused*/) const { require(plain.empty()); }
  void operator()(frames_view view) const {
    std::size_t used = 1;
    while (const auto frame = view.next()) {
      require(frame->size() >= min_frame_size);
      used += 2;
      require(frame->data() == plain.data() + used && load_le16(frame->data() - 2) == frame->size());
      used += frame->size();
    }
    require(used <= plain.size() && view.failed() == (used != plain.size()));
  }
  void operator()(const train_view& t) const {
    require(t.index < t.count && t.count <= max_train_segments && (t.gso == gso_kind::none) == (t.count == 1));
    require(train_header_size + t.headers.size() + t.payload.size() == plain.size());
    std::array<std::uint8_t, train_header_size> head{};
    format_train_header(head, t.gso, t.ecn, t.index, t.count, t.headers.size());
    starts_with(head);
    const auto of = examine_headers(t);
    if (!of) return;
    require(of->ip < of->transport && of->transport < of->payload && of->payload == t.headers.size());
    const auto size = segment_size(t, *of);
    if (size && t.count > 1) require(*size * (t.count - 1U) < of->stated && of->stated <= *size * t.count);
  }
  void operator()(const fragment_view& f) const {
    require(f.count >= 2 && f.count <= max_fragments && f.index < f.count && !f.slice.empty());
    require(f.slice.size() + fragment_header_size == plain.size());
    std::array<std::uint8_t, fragment_header_size> head{};
    format_fragment_header(head, f.index, f.count);
    starts_with(head);
  }
  void operator()(const ping& p) const {
    require(p.size == plain.size());
    std::array<std::uint8_t, ping_size> head{};
    format_ping(head, p.token);
    starts_with(head);
    require(std::all_of(plain.begin() + ping_size, plain.end(), [](std::uint8_t b) { return b == 0; }));
  }
  void operator()(const pong& p) const {
    std::array<std::uint8_t, pong_size> head{};
    format_pong(head, p.token, p.size);
    starts_with(head);
    require(plain.size() == pong_size);
  }
  void operator()(bye /*unused*/) const {
    std::array<std::uint8_t, bye_size> head{};
    format_bye(head);
    starts_with(head);
    require(plain.size() == bye_size);
  }
  void operator()(forget /*unused*/) const {
    std::array<std::uint8_t, forget_size> head{};
    format_forget(head);
    starts_with(head);
    require(plain.size() == forget_size);
  }
  void operator()(unknown_control /*unused*/) const { require(plain.size() >= 2 && plain[0] == 0x40); }
  void operator()(bad_record /*unused*/) const { require(!plain.empty()); }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* input, std::size_t size) {
  const bytes_view plain(input, size);
  std::visit(checker{plain}, parse_record(plain));
  return 0;
}
