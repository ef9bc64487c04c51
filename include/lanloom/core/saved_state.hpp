// SPDX-License-Identifier: Apache-2.0
// saved_state.hpp - what a node remembers beyond its own life, and as what bytes it is kept.
//
// The state file has a fixed size and holds two copies. They are written in turn, each with a number one higher than
// the other's and a hash over all of it, so a write that was cut short leaves the copy before it. Whoever owns the file
// reads and writes; here are only bytes. Integers are little-endian.
//
//     0  ×8   "lanloom" and a zero             40  ×32  BLAKE2b-256 of the copy with these 32 bytes left out
//     8  u32  version = 1                      72       entries of 68 bytes, one per peer:
//    12  u32  entries, at most max_peers            0  ×32  public key        44  ×16  address, zeros: not known
//    16  u64  number of this copy                  32  ×12  stamp accepted    60  u16  port
//    24  ×12  reserve                                                         62  u16  0
//    36  u32  0                                                               64  u32  scope
//
// Invariants: (1) what is read is untrusted: a copy that is not exactly this is none; (2) nothing beyond the entries is
// looked at. Owner: the file's (daemon; a test). Throws only std::bad_alloc.
#pragma once

#include <lanloom/base/bytes.hpp>
#include <lanloom/base/endpoint.hpp>
#include <lanloom/crypto/keys.hpp>
#include <lanloom/wire/payload.hpp>

#include <optional>
#include <vector>

namespace lanloom::core {

struct saved_state {
  static constexpr std::size_t max_peers = 1024;

  struct peer {
    crypto::public_key key;
    wire::tai64n accepted;           // of its initiations, the latest
    std::optional<endpoint> remote;  // where it was last
  };

  wire::tai64n reserve;  // no initiation of ours has had a later stamp
  std::vector<peer> peers;
};

class state_copies {
 public:
  static constexpr std::size_t copy_size = 72 * 1024;  // header and max_peers entries, in whole pages
  static constexpr std::size_t file_size = 2 * copy_size;

  // From the file's bytes, however many there are.
  explicit state_copies(bytes_view file);

  // The newer of the copies that are good; empty when there is none.
  [[nodiscard]] const saved_state& found() const noexcept { return found_; }
  // Something was written, and nothing of it can be read.
  [[nodiscard]] bool damaged() const noexcept { return damaged_; }

  // What to write where, so that the good copy stays. Borrowed until the next call.
  // REQUIRES at most max_peers peers.
  struct write {
    std::size_t offset;
    bytes_view bytes;
  };
  [[nodiscard]] write format(const saved_state& state);
  void written() noexcept;  // that: the next goes to the other place

 private:
  saved_state found_;
  bool damaged_ = false;
  std::uint64_t number_ = 0;  // of the newer copy
  std::size_t place_ = 0;     // for the next
  std::vector<std::uint8_t> room_;
};

}  // namespace lanloom::core
