// SPDX-License-Identifier: Apache-2.0
// ready_set.hpp - which of a few descriptors can be read.
//
// Level-triggered: asking is one system call, nothing is armed anew, and what was not read to its end is told again, so
// nobody needs to read until EAGAIN. Errors: the constructor and duplicate() throw std::system_error.
#pragma once

#include <lanloom/os/unique_fd.hpp>

#include <chrono>
#include <initializer_list>

namespace lanloom::os {

class ready_set {
 public:
  // At most 32, which must stay open as long as this. It takes nothing over.
  explicit ready_set(std::initializer_list<int> fds);

  static constexpr std::chrono::milliseconds forever{-1};

  // Bit i: the i-th descriptor has something to read, or an error that reading will tell. 0: none within `most`, or a
  // signal came.
  [[nodiscard]] unsigned wait(std::chrono::milliseconds most) noexcept;

  // A descriptor that is readable while one of them is.
  [[nodiscard]] unique_fd duplicate() const;

 private:
  unique_fd epoll_;
};

}  // namespace lanloom::os
