#pragma once  // micro/masked_helium.h: stored pieces of 4 weights with Helium.

#include <arm_mve.h>

#include "tflite_kernels/micro/types.h"

namespace edgeax {
namespace micro {
namespace helium {

// Of 4 bits: for each the stored pieces before it, the lanes of those that are 1, and how many are.
struct FourPieces {
  uint8_t before[4];
  uint16_t lanes, count;
};

constexpr FourPieces FourPiecesOf(uint32_t bits) {
  FourPieces found = {};
  for (uint32_t i = 0; i < 4; ++i) {
    found.before[i] = static_cast<uint8_t>(found.count);
    found.lanes = static_cast<uint16_t>(found.lanes | (bits >> i & 1) * (0xFu << 4 * i));
    found.count = static_cast<uint16_t>(found.count + (bits >> i & 1));
  }
  return found;
}

constexpr FourPieces kFourPieces[16] = {
    FourPiecesOf(0),  FourPiecesOf(1),  FourPiecesOf(2),  FourPiecesOf(3),
    FourPiecesOf(4),  FourPiecesOf(5),  FourPiecesOf(6),  FourPiecesOf(7),
    FourPiecesOf(8),  FourPiecesOf(9),  FourPiecesOf(10), FourPiecesOf(11),
    FourPiecesOf(12), FourPiecesOf(13), FourPiecesOf(14), FourPiecesOf(15)};

static inline const int8_t* DecodeFour(uint32_t bits, const int8_t* pieces, int8_t* to) {
  const FourPieces& four = kFourPieces[bits];
  const uint32_t* const words = reinterpret_cast<const uint32_t*>(pieces);
  const uint32x4_t stored =
      vldrwq_gather_shifted_offset_z_u32(words, vldrbq_u32(four.before), four.lanes);
  vst1q_s8(to, vreinterpretq_s8_u32(stored));
  return pieces + 4 * four.count;
}

// As in masked_portable.h; pieces lie at multiples of 4.
static inline const int8_t* DecodeEight(uint32_t bits, const int8_t* pieces, int8_t* to) {
  pieces = DecodeFour(bits & 15, pieces, to);
  return DecodeFour(bits >> 4, pieces, to + 16);
}

}  // namespace helium
}  // namespace micro
}  // namespace edgeax
