// SPDX-License-Identifier: Apache-2.0
#include <lanloom/base/drop.hpp>

namespace lanloom {

std::string_view to_string(drop reason) noexcept {
  switch (reason) {
    case drop::none:
      return "none";
    case drop::malformed:
      return "malformed";
    case drop::unknown_index:
      return "unknown_index";
    case drop::expired:
      return "expired";
    case drop::replayed:
      return "replayed";
    case drop::bad_tag:
      return "bad_tag";
    case drop::bad_mac1:
      return "bad_mac1";
    case drop::handshake_queue_full:
      return "handshake_queue_full";
    case drop::no_cookie:
      return "no_cookie";
    case drop::bad_cookie:
      return "bad_cookie";
    case drop::bad_handshake:
      return "bad_handshake";
    case drop::unknown_peer:
      return "unknown_peer";
    case drop::stale_handshake:
      return "stale_handshake";
    case drop::no_common_suite:
      return "no_common_suite";
    case drop::unexpected_handshake:
      return "unexpected_handshake";
    case drop::bad_record:
      return "bad_record";
    case drop::unknown_control:
      return "unknown_control";
    case drop::short_frame:
      return "short_frame";
    case drop::long_frame:
      return "long_frame";
    case drop::bad_source:
      return "bad_source";
    case drop::own_source:
      return "own_source";
    case drop::reserved_destination:
      return "reserved_destination";
    case drop::stray_probe:
      return "stray_probe";
    case drop::reassembly_full:
      return "reassembly_full";
    case drop::reassembly_expired:
      return "reassembly_expired";
    case drop::blocked:
      return "blocked";
    case drop::storm_limited:
      return "storm_limited";
    case drop::bad_offload:
      return "bad_offload";
    case drop::local_destination:
      return "local_destination";
    case drop::self_encapsulated:
      return "self_encapsulated";
    case drop::no_session:
      return "no_session";
    case drop::staging_full:
      return "staging_full";
    case drop::staging_expired:
      return "staging_expired";
    case drop::outbox_full:
      return "outbox_full";
    case drop::send_buffer_full:
      return "send_buffer_full";
    case drop::send_refused:
      return "send_refused";
    case drop::send_too_large:
      return "send_too_large";
    case drop::tap_buffer_full:
      return "tap_buffer_full";
    case drop::tap_down:
      return "tap_down";
    case drop::tap_refused:
      return "tap_refused";
  }
  return "unknown";
}

}  // namespace lanloom
