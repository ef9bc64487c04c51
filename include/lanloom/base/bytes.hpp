// SPDX-License-Identifier: Apache-2.0
// bytes.hpp - byte spans and integers in them; the only reinterpretation of memory in the tree.
//
// load_*/store_* read and write at the start of a span or pointer that the caller has checked to be long enough.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

namespace lanloom {

using bytes_view = std::span<const std::uint8_t>;
using bytes_span = std::span<std::uint8_t>;

namespace detail {
template <class Integer>
[[nodiscard]] constexpr Integer swap_bytes(Integer v) noexcept {
  if constexpr (sizeof(Integer) == 2) return static_cast<Integer>(__builtin_bswap16(v));
  if constexpr (sizeof(Integer) == 4) return static_cast<Integer>(__builtin_bswap32(v));
  if constexpr (sizeof(Integer) == 8) return static_cast<Integer>(__builtin_bswap64(v));
}

template <class Integer, std::endian Order>
[[nodiscard]] inline Integer load(const std::uint8_t* from) noexcept {
  Integer v;
  std::memcpy(&v, from, sizeof v);
  if constexpr (Order != std::endian::native) v = swap_bytes(v);
  return v;
}

template <class Integer, std::endian Order>
inline void store(std::uint8_t* to, Integer v) noexcept {
  if constexpr (Order != std::endian::native) v = swap_bytes(v);
  std::memcpy(to, &v, sizeof v);
}
}  // namespace detail

[[nodiscard]] inline std::uint16_t load_le16(const std::uint8_t* p) noexcept {
  return detail::load<std::uint16_t, std::endian::little>(p);
}
[[nodiscard]] inline std::uint32_t load_le32(const std::uint8_t* p) noexcept {
  return detail::load<std::uint32_t, std::endian::little>(p);
}
[[nodiscard]] inline std::uint64_t load_le64(const std::uint8_t* p) noexcept {
  return detail::load<std::uint64_t, std::endian::little>(p);
}
[[nodiscard]] inline std::uint16_t load_be16(const std::uint8_t* p) noexcept {
  return detail::load<std::uint16_t, std::endian::big>(p);
}
[[nodiscard]] inline std::uint32_t load_be32(const std::uint8_t* p) noexcept {
  return detail::load<std::uint32_t, std::endian::big>(p);
}
[[nodiscard]] inline std::uint64_t load_be64(const std::uint8_t* p) noexcept {
  return detail::load<std::uint64_t, std::endian::big>(p);
}
inline void store_le16(std::uint8_t* p, std::uint16_t v) noexcept {
  detail::store<std::uint16_t, std::endian::little>(p, v);
}
inline void store_le32(std::uint8_t* p, std::uint32_t v) noexcept {
  detail::store<std::uint32_t, std::endian::little>(p, v);
}
inline void store_le64(std::uint8_t* p, std::uint64_t v) noexcept {
  detail::store<std::uint64_t, std::endian::little>(p, v);
}
inline void store_be16(std::uint8_t* p, std::uint16_t v) noexcept {
  detail::store<std::uint16_t, std::endian::big>(p, v);
}
inline void store_be32(std::uint8_t* p, std::uint32_t v) noexcept {
  detail::store<std::uint32_t, std::endian::big>(p, v);
}
inline void store_be64(std::uint8_t* p, std::uint64_t v) noexcept {
  detail::store<std::uint64_t, std::endian::big>(p, v);
}

// The bytes of a string, without a terminator. Borrowed from `text`.
[[nodiscard]] inline bytes_view as_bytes(std::string_view text) noexcept {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

}  // namespace lanloom
