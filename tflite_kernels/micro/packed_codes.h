#pragma once  // micro/packed_codes.h: weights of codes of 4, 2 or 1 bits, first in the lowest bits.

#include "tflite_kernels/micro/types.h"

namespace edgeax {
namespace micro {

template <int kBits>
static inline const uint8_t* DecodeCodes(const uint8_t* codes, const int8_t* codebook,
                                         int32_t count, int8_t* to) {
  constexpr int32_t kPerByte = 8 / kBits;
  for (; count > 0; count -= kPerByte, to += kPerByte) {
    const uint32_t byte = *codes++;
    for (int32_t i = 0; i < kPerByte; ++i) {
      to[i] = codebook[byte >> (i * kBits) & ((1u << kBits) - 1)];
    }
  }
  return codes;
}

// Decodes `count` weights, and as many more as the last byte holds; returns where the codes go on.
static inline const uint8_t* DecodeCodes(int32_t bits, const uint8_t* codes, const int8_t* codebook,
                                         int32_t count, int8_t* to) {
  if (bits == 4) return DecodeCodes<4>(codes, codebook, count, to);
  if (bits == 2) return DecodeCodes<2>(codes, codebook, count, to);
  return DecodeCodes<1>(codes, codebook, count, to);
}

}  // namespace micro
}  // namespace edgeax
