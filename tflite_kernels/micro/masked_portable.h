#pragma once  // micro/masked_portable.h: stored pieces of 4 weights in portable C++.

#include "tflite_kernels/micro/types.h"

namespace edgeax {
namespace micro {
namespace portable {

// Writes 8 pieces of 4 weights, zeros where a bit is 0; returns what lies behind the stored ones.
// Reads a piece more than it writes.
static inline const int8_t* DecodeEight(uint32_t bits, const int8_t* pieces, int8_t* to) {
  for (const int8_t* const end = to + 32; to < end; to += 4, bits >>= 1) {
    uint32_t word;
    __builtin_memcpy(&word, pieces, 4);
    word &= 0u - (bits & 1);
    __builtin_memcpy(to, &word, 4);
    pieces += (bits & 1) * 4;
  }
  return pieces;
}

}  // namespace portable
}  // namespace micro
}  // namespace edgeax
