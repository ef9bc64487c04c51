// SPDX-License-Identifier: Apache-2.0
// corpus_main.cpp - runs a fuzz target without libFuzzer: the empty input, then every regular file of the directories
// named on the command line, in name order. A finding is a crash, or a sanitizer's report: there is nothing to compare.
// One line per directory says how many inputs were replayed; a directory that cannot be read is a failure (status 1).
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size);

namespace {

std::vector<std::filesystem::path> inputs_of(const std::filesystem::path& directory) {
  std::vector<std::filesystem::path> inputs;
  for (const auto& entry : std::filesystem::directory_iterator(directory))
    if (entry.is_regular_file()) inputs.push_back(entry.path());
  std::sort(inputs.begin(), inputs.end());
  return inputs;
}

// A copy of exactly the input's size, so that a read past its end is one the address sanitizer sees.
bool replay(const std::filesystem::path& input) {
  std::ifstream file(input, std::ios::binary);
  const std::vector<char> content((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  if (!file.good() && !file.eof()) return false;
  const std::vector<std::uint8_t> bytes(content.begin(), content.end());
  LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
  return true;
}

}  // namespace

int main(int count, char** arguments) {
  const std::uint8_t nothing = 0;
  LLVMFuzzerTestOneInput(&nothing, 0);
  for (int i = 1; i < count; ++i) {
    try {
      const auto inputs = inputs_of(arguments[i]);
      for (const auto& input : inputs) {
        if (replay(input)) continue;
        std::fprintf(stderr, "cannot read %s\n", input.c_str());
        return 1;
      }
      std::printf("%s: %zu inputs replayed\n", arguments[i], inputs.size());
    } catch (const std::filesystem::filesystem_error& error) {
      std::fprintf(stderr, "%s\n", error.what());
      return 1;
    }
  }
  return 0;
}
