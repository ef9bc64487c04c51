// SPDX-License-Identifier: Apache-2.0
// state_file.hpp - the file in the state directory: made and opened by the keeper, read and written by the node.
//
// Invariants: (1) what is opened is a regular file of this process's user with one name, closed to all others, in a
// directory that nobody else writes; links are not followed, and what is checked is the descriptor; (2) it has its full
// size from the start, so a full disk is met when it is made and not later; (3) it is locked for as long as any
// duplicate of the descriptor lives, a node's that outlives its keeper too. What is in it is its reader's business.
#pragma once

#include <lanloom/base/bytes.hpp>
#include <lanloom/os/unique_fd.hpp>

#include <string>

namespace lanloom::os {

// DIRECTORY/state, of `size` bytes, zeros where nothing was written. Makes the directory, and those above it, with mode
// 0700. Throws std::system_error (EBUSY: another process has it) or std::runtime_error with the cure.
// REQUIRES an absolute path.
[[nodiscard]] unique_fd open_state_file(const std::string& directory, std::size_t size);

class state_file {
 public:
  explicit state_file(unique_fd fd) noexcept : fd_(std::move(fd)) {}

  // As much as there is; what is missing is left as it was.
  [[nodiscard]] std::errc read(bytes_span out) const noexcept;
  // All of it, or an error, and then nobody knows what is there.
  [[nodiscard]] std::errc write(std::size_t offset, bytes_view bytes) const noexcept;

 private:
  unique_fd fd_;
};

}  // namespace lanloom::os
