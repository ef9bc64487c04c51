// SPDX-License-Identifier: Apache-2.0
// secret_file.hpp - reads 32 secret bytes from a file that nobody else can read.
//
// 1. What is checked is the file that is read: open first, then fstat on the descriptor.
// 2. Accepted: a regular file (a symbolic link to one too), mode & 0077 == 0, owned by root or by us, at most 4 KiB,
//    one line of base64.
// 3. The text is wiped before this returns.
// Errors: secret_file_error, one sentence that begins with the file's name and ends with the cure;
// permission_error with such a sentence when the file may not be opened.
#pragma once

#include <lanloom/crypto/keys.hpp>

#include <cstdint>
#include <filesystem>
#include <stdexcept>

namespace lanloom::app {

// Decides only which command the sentence about a missing or empty file recommends.
enum class secret_kind : std::uint8_t { private_key, shared_secret };

struct secret_file_error : std::runtime_error {
  using std::runtime_error::runtime_error;
};

[[nodiscard]] crypto::secret<32> read_secret_file(const std::filesystem::path& file, secret_kind kind);

}  // namespace lanloom::app
