// SPDX-License-Identifier: Apache-2.0
#include "toml_text.hpp"

namespace lanloom::app {

namespace {

constexpr std::size_t longest_line = 512;

std::optional<refused_text> refuse_long_line(std::string_view text) {
  std::uint32_t line = 1;
  for (std::size_t length = 0; const char c : text) {
    if (c == '\n') {
      ++line;
      length = 0;
    } else if (++length > longest_line) {
      return refused_text{
          {line, 1},
          "this line has more than " + std::to_string(longest_line) + " bytes; break the list over several lines"};
    }
  }
  return std::nullopt;
}

// Where the comment or string that begins at `from` ends: the offset behind it.
std::size_t end_of_comment(std::string_view text, std::size_t from) noexcept {
  const auto end = text.find('\n', from);
  return end == std::string_view::npos ? text.size() : end;
}

std::size_t end_of_line_string(std::string_view text, std::size_t from) noexcept {
  const char quote = text[from];
  for (std::size_t i = from + 1; i < text.size(); ++i) {
    if (text[i] == '\n') return i;
    if (text[i] == quote) return i + 1;
    if (text[i] == '\\' && quote == '"') ++i;
  }
  return text.size();
}

// Whether a quote stands where a value begins. The parser looks ahead from a bare value through whatever follows it up
// to white space or a comma, quotes too: only behind those, and brackets behind those, is it sure to see a string.
bool begins_value(std::string_view text, std::size_t quote) noexcept {
  while (quote > 0 && (text[quote - 1] == '[' || text[quote - 1] == '{')) --quote;
  return quote == 0 || std::string_view(" \t\n,").find(text[quote - 1]) != std::string_view::npos;
}

bool is_triple(std::string_view text, std::size_t at) noexcept {
  return text.size() - at >= 3 && text[at + 1] == text[at] && text[at + 2] == text[at];
}

// A string over several lines is only stepped over by its quotes: what it contains is looked at.
std::size_t end_of_string(std::string_view text, std::size_t from, std::size_t& stray) noexcept {
  const char quote = text[from];
  for (std::size_t i = from + 3; i < text.size(); ++i) {
    if (static_cast<unsigned char>(text[i]) >= 0x80) {
      stray = i;
      return i;
    }
    if (text[i] == quote && is_triple(text, i)) {
      // Up to two more quotes belong to the string.
      for (i += 3; i < text.size() && text[i] == quote; ++i) {
      }
      return i;
    }
    if (text[i] == '\\' && quote == '"') ++i;
  }
  return text.size();
}

// Offset of the first character beyond ASCII that the parser must not meet.
std::size_t first_stray(std::string_view text) noexcept {
  constexpr auto none = std::string_view::npos;
  std::size_t stray = none;
  std::size_t i = text.starts_with("\xef\xbb\xbf") ? 3 : 0;
  while (i < text.size() && stray == none) {
    if (text[i] == '#') {
      i = end_of_comment(text, i);
    } else if (text[i] == '"' || text[i] == '\'') {
      const bool sure = begins_value(text, i);
      const auto end = is_triple(text, i) ? end_of_string(text, i, stray) : end_of_line_string(text, i);
      for (auto k = i; !sure && k < end && stray == none; ++k) {
        if (static_cast<unsigned char>(text[k]) >= 0x80) stray = k;
      }
      i = end;
    } else if (static_cast<unsigned char>(text[i]) >= 0x80) {
      stray = i;
    } else {
      ++i;
    }
  }
  return stray;
}

position place(std::string_view text, std::size_t offset) noexcept {
  position at;
  for (const char c : text.substr(0, offset)) {
    if (c == '\n') {
      ++at.line;
      at.column = 1;
    } else if ((static_cast<unsigned char>(c) & 0xc0) != 0x80) {
      ++at.column;
    }
  }
  return at;
}

}  // namespace

std::optional<refused_text> refuse_text(std::string_view text) {
  if (auto refused = refuse_long_line(text)) return refused;
  const auto stray = first_stray(text);
  if (stray == std::string_view::npos) return std::nullopt;
  return refused_text{place(text, stray),
                      "this character is not ASCII; use it only in comments, and in one-line strings after a space"};
}

}  // namespace lanloom::app
