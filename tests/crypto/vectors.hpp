// SPDX-License-Identifier: Apache-2.0
// vectors.hpp - reading tests/vectors/ and hexadecimal text; initialises the module before any test runs.
#pragma once

#include <lanloom/base/bytes.hpp>
#include <lanloom/crypto/keys.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <fstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace lanloom::crypto::test {

using bytes = std::vector<std::uint8_t>;

inline const bool initialised = (initialise(), true);

[[nodiscard]] inline nlohmann::json vectors(const std::string& file) {
  std::ifstream in(LANLOOM_SOURCE_DIR "/tests/vectors/" + file);
  if (!in) throw std::runtime_error("no vectors: " + file);
  return nlohmann::json::parse(in);
}

[[nodiscard]] inline bytes unhex(const std::string& text) {
  if (text.size() % 2 != 0) throw std::runtime_error("odd hexadecimal text");
  bytes out(text.size() / 2);
  for (std::size_t i = 0; i < out.size(); ++i) {
    out[i] = static_cast<std::uint8_t>(std::stoul(text.substr(2 * i, 2), nullptr, 16));
  }
  return out;
}

// 32 bytes, as a secret or a public key.
[[nodiscard]] inline secret<32> secret_of(const bytes& from) {
  if (from.size() != 32) throw std::runtime_error("not 32 bytes");
  return secret<32>(std::span<const std::uint8_t, 32>(from.data(), 32));
}
[[nodiscard]] inline public_key public_of(const bytes& from) {
  if (from.size() != 32) throw std::runtime_error("not 32 bytes");
  public_key key;
  std::copy(from.begin(), from.end(), key.bytes.begin());
  return key;
}
[[nodiscard]] inline key_pair pair_of(const bytes& private_half) {
  key_pair pair{secret_of(private_half), {}};
  pair.public_half = derive_public(pair.secret_half);
  return pair;
}

[[nodiscard]] inline bytes operator+(const bytes& a, const bytes& b) {
  bytes joined = a;
  joined.insert(joined.end(), b.begin(), b.end());
  return joined;
}

[[nodiscard]] inline bytes copy_of(bytes_view from) { return {from.begin(), from.end()}; }

// 0, 1, 2, ... from `first` on.
[[nodiscard]] inline bytes counting(std::size_t size, std::uint8_t first = 0) {
  bytes out(size);
  for (std::uint8_t& byte : out) byte = first++;
  return out;
}

}  // namespace lanloom::crypto::test
