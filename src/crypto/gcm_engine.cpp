// SPDX-License-Identifier: Apache-2.0
#include <lanloom/crypto/gcm_engine.hpp>

#include "cipher.hpp"
#include "ipsec_mb.hpp"

#include <algorithm>
#include <stdexcept>
#include <vector>

namespace lanloom::crypto {
namespace {

// Test case 16 of McGrew and Viega, "The Galois/Counter Mode of Operation (GCM)".
struct known_answer {
  std::array<std::uint8_t, 32> key{0xfe, 0xff, 0xe9, 0x92, 0x86, 0x65, 0x73, 0x1c, 0x6d, 0x6a, 0x8f,
                                   0x94, 0x67, 0x30, 0x83, 0x08, 0xfe, 0xff, 0xe9, 0x92, 0x86, 0x65,
                                   0x73, 0x1c, 0x6d, 0x6a, 0x8f, 0x94, 0x67, 0x30, 0x83, 0x08};
  cipher::nonce nonce{0xca, 0xfe, 0xba, 0xbe, 0xfa, 0xce, 0xdb, 0xad, 0xde, 0xca, 0xf8, 0x88};
  std::array<std::uint8_t, 20> associated{0xfe, 0xed, 0xfa, 0xce, 0xde, 0xad, 0xbe, 0xef, 0xfe, 0xed,
                                          0xfa, 0xce, 0xde, 0xad, 0xbe, 0xef, 0xab, 0xad, 0xda, 0xd2};
  std::array<std::uint8_t, 60> plain{0xd9, 0x31, 0x32, 0x25, 0xf8, 0x84, 0x06, 0xe5, 0xa5, 0x59, 0x09, 0xc5,
                                     0xaf, 0xf5, 0x26, 0x9a, 0x86, 0xa7, 0xa9, 0x53, 0x15, 0x34, 0xf7, 0xda,
                                     0x2e, 0x4c, 0x30, 0x3d, 0x8a, 0x31, 0x8a, 0x72, 0x1c, 0x3c, 0x0c, 0x95,
                                     0x95, 0x68, 0x09, 0x53, 0x2f, 0xcf, 0x0e, 0x24, 0x49, 0xa6, 0xb5, 0x25,
                                     0xb1, 0x6a, 0xed, 0xf5, 0xaa, 0x0d, 0xe6, 0x57, 0xba, 0x63, 0x7b, 0x39};
  std::array<std::uint8_t, 60 + tag_size> sealed{
      0x52, 0x2d, 0xc1, 0xf0, 0x99, 0x56, 0x7d, 0x07, 0xf4, 0x7f, 0x37, 0xa3, 0x2a, 0x84, 0x42, 0x7d, 0x64, 0x3a, 0x8c,
      0xdc, 0xbf, 0xe5, 0xc0, 0xc9, 0x75, 0x98, 0xa2, 0xbd, 0x25, 0x55, 0xd1, 0xaa, 0x8c, 0xb0, 0x8e, 0x48, 0x59, 0x0d,
      0xbb, 0x3d, 0xa7, 0xb0, 0x8b, 0x10, 0x56, 0x82, 0x88, 0x38, 0xc5, 0xf6, 0x1e, 0x63, 0x93, 0xba, 0x7a, 0x0a, 0xbc,
      0xc9, 0xf6, 0x62, 0x76, 0xfc, 0x6e, 0xce, 0x0f, 0x4e, 0x17, 0x68, 0xcd, 0xdf, 0x88, 0x53, 0xbb, 0x2d, 0x55, 0x1b};
};

bool gives_known_answer(const gcm_engine& engine) {
  const known_answer known;
  const cipher with(suite::aes_256_gcm, secret<32>(known.key), engine);
  std::array<std::uint8_t, 60 + tag_size> made{};
  with.seal(known.nonce, known.associated, known.plain, made.data());
  return made == known.sealed && with.open(known.nonce, known.associated, made, made.data()) &&
         std::equal(known.plain.begin(), known.plain.end(), made.begin());
}

// Sizes around a block, around the 8 and 16 blocks that are computed at once, packets, and the largest.
constexpr std::array<std::size_t, 28> tried_sizes{0,    1,    15,   16,   17,   63,   64,   65,   127, 128,
                                                  129,  240,  255,  256,  257,  511,  512,  513,  767, 769,
                                                  1023, 1025, 1400, 1436, 2049, 4097, 9300, 65507};

// Whether both seal to the same bytes, each opens what the other sealed, and `tested` refuses what was altered.
bool same_results(const cipher& reference, const cipher& tested, std::size_t size) {
  std::vector<std::uint8_t> plain(size), expected(size + tag_size), made(size + tag_size);
  for (std::size_t i = 0; i < size; ++i) plain[i] = static_cast<std::uint8_t>(i * 7 + i / 251);
  std::array<std::uint8_t, 16> associated{};
  store_le64(associated.data(), size);
  const cipher::nonce nonce = cipher::nonce_of(0x0102030405060708ULL + size);

  reference.seal(nonce, associated, plain, expected.data());
  tested.seal(nonce, associated, plain, made.data());
  if (made != expected) return false;
  if (!tested.open(nonce, associated, expected, expected.data())) return false;
  if (!std::equal(plain.begin(), plain.end(), expected.begin())) return false;
  for (const std::size_t altered : {std::size_t{0}, size / 2, size, size + tag_size - 1}) {
    std::vector<std::uint8_t> forged = made;
    forged[altered] = static_cast<std::uint8_t>(forged[altered] ^ 0x80);
    if (tested.open(nonce, associated, forged, forged.data())) return false;
  }
  return true;
}

bool same_results(const gcm_engine& engine) {
  const secret<32> key(known_answer{}.key);
  const cipher reference(suite::aes_256_gcm, key), tested(suite::aes_256_gcm, key, engine);
  return gives_known_answer(engine) && std::all_of(tried_sizes.begin(), tried_sizes.end(), [&](std::size_t size) {
           return same_results(reference, tested, size);
         });
}

}  // namespace

gcm_engine gcm_engine::choose(accelerator wish) {
  if (!available(suite::aes_256_gcm)) return gcm_engine("this processor has no AES instructions");
  if (!gives_known_answer(gcm_engine())) throw std::runtime_error("AES-256-GCM of libsodium gives wrong results here");
  if (wish == accelerator::off) return gcm_engine("it is switched off");
  calls found;
  if (const auto why_not = find_ipsec_mb(wish == accelerator::automatic, found); !why_not.empty()) {
    return gcm_engine(why_not);
  }
  const gcm_engine candidate(found);
  return same_results(candidate) ? candidate : gcm_engine("its results are not those of libsodium");
}

}  // namespace lanloom::crypto
