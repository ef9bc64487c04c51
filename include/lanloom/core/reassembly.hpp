// SPDX-License-Identifier: Apache-2.0
// reassembly.hpp - frames that came in slices (record kind 3), put together again.
//
// A frame is named by its session and the counter of its first slice. Invariants: (1) at most 16 frames and 256 KiB per
// session and 4 MiB in all; the oldest goes first; (2) a frame that could only end up longer than MTU + 22 is refused
// at its first slice; (3) slices are equal but the last, which is 1..equal; what contradicts an earlier slice is
// refused; (4) a slice that came twice changes nothing; (5) after a second an unfinished frame is gone. All memory is
// taken at construction, max_frame bytes per frame, and bounds count whole buffers. What is refused changes nothing.
// Every loss is counted in the drop_counters given: reassembly_full, reassembly_expired, bad_record, long_frame.
#pragma once

#include <lanloom/base/bytes.hpp>
#include <lanloom/base/clock.hpp>
#include <lanloom/base/drop.hpp>
#include <lanloom/core/ids.hpp>

#include <array>
#include <memory>
#include <vector>

namespace lanloom::core {

class reassembly {
 public:
  static constexpr std::size_t max_frames_per_session = 16;
  static constexpr std::size_t max_bytes_per_session = 256 * 1024;
  static constexpr std::size_t max_bytes = 4 * 1024 * 1024;
  static constexpr std::chrono::seconds max_age{1};

  // max_frame: MTU + 22, at most max_bytes_per_session.
  explicit reassembly(std::size_t max_frame);

  // Adds slice `index` of `count` that came with `counter` (>= index). The whole frame when this slice completed it,
  // borrowed until the next call; empty otherwise.
  [[nodiscard]] bytes_span add(session_id session, std::uint64_t counter, std::uint8_t index, std::uint8_t count,
                               bytes_view slice, time_point now, drop_counters& drops) noexcept;
  void expire(time_point now, drop_counters& drops) noexcept;
  // When expire() will next have something to do; time_point::max() when nothing waits.
  [[nodiscard]] time_point expires_at() const noexcept {
    return oldest_ == none ? time_point::max() : frames_[oldest_].started + max_age;
  }
  void forget(session_id session, drop_counters& drops) noexcept;

 private:
  // Frames are named by their place in frames_, which is also the place of their buffer.
  static constexpr std::uint32_t none = UINT32_MAX;
  static constexpr std::size_t bucket_count = 1024;

  struct frame {
    std::uint64_t first_counter = 0;
    std::uint64_t received = 0;  // bit i: slice i
    time_point started{};
    session_id session;
    std::uint32_t slice_size = 0;  // 0: only the last slice came
    std::uint32_t last_size = 0;   // 0: the last slice did not come
    std::uint32_t chain = none;    // next older in the bucket, or next free
    std::uint32_t newer = none;
    std::uint32_t older = none;
    std::uint8_t count = 0;
  };
  // What one walk along a bucket tells about a session.
  struct session_state {
    std::uint32_t match = none;
    std::uint32_t oldest = none;
    std::size_t frames = 0;
  };

  [[nodiscard]] std::uint32_t& bucket(session_id session) noexcept { return buckets_[session.value % bucket_count]; }
  [[nodiscard]] session_state look(session_id session, std::uint64_t first_counter) noexcept;
  [[nodiscard]] drop check(const frame& f, std::uint8_t index, std::uint8_t count, std::size_t size) const noexcept;
  [[nodiscard]] std::uint32_t start(const session_state& state, const frame& f, drop_counters& drops) noexcept;
  void place(std::uint32_t n, std::uint8_t index, bytes_view slice) noexcept;
  void remove(std::uint32_t n) noexcept;
  [[nodiscard]] std::uint8_t* buffer(std::uint32_t n) noexcept { return buffers_.get() + n * max_frame_; }

  std::size_t max_frame_;
  std::size_t frames_per_session_;
  std::vector<frame> frames_;
  std::unique_ptr<std::uint8_t[]> buffers_;
  std::array<std::uint32_t, bucket_count> buckets_;
  std::uint32_t newest_ = none;
  std::uint32_t oldest_ = none;
  std::uint32_t free_ = none;
};

}  // namespace lanloom::core
