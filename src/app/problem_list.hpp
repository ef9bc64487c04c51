// SPDX-License-Identifier: Apache-2.0
// problem_list.hpp - collects what is wrong with one file, and which values could not be read.
//
// A rule over a value that could not be read would only repeat that problem in other words: it asks sound() first.
#pragma once

#include <lanloom/app/config_error.hpp>

#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace lanloom::app {

class problem_list {
 public:
  explicit problem_list(std::filesystem::path file) : file_(std::move(file)) {}

  void add(position at, std::string message) { found_.push_back({file_, at.line, at.column, std::move(message)}); }
  // The same for the value at `path` (source_map), which is missing from the configuration now.
  void add_unread(const std::string& path, position at, std::string message) {
    unread_.insert(path);
    add(at, std::move(message));
  }

  // Every value whose path begins with `path` was read.
  [[nodiscard]] bool sound(std::string_view path) const {
    const auto next = unread_.lower_bound(path);
    return next == unread_.end() || !std::string_view(*next).starts_with(path);
  }

  void throw_if_any() {
    if (!found_.empty()) throw config_error(std::move(found_));
  }

 private:
  std::filesystem::path file_;
  std::vector<problem> found_;
  std::set<std::string, std::less<>> unread_;
};

}  // namespace lanloom::app
