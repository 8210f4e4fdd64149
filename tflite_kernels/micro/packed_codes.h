#pragma once  // micro/packed_codes.h: weights of codes of 4, 2 or 1 bits, first in the lowest bits.

#include "tflite_kernels/micro/types.h"

#if defined(__ARM_FEATURE_MVE) && (__ARM_FEATURE_MVE & 1) && !defined(EDGEAX_MICRO_PORTABLE)
#include <arm_mve.h>
#define EDGEAX_MICRO_CODES_HELIUM
#endif

namespace edgeax {
namespace micro {

#if defined(EDGEAX_MICRO_CODES_HELIUM)
// The weights of the fields at a bit of 16 bytes.
template <int kBits>
static inline int8x16_t WeightsAt(uint8x16_t bytes, int shift, const int8_t* codebook) {
  const uint8x16_t codes = vshlq_r_u8(bytes, -shift);
  return vldrbq_gather_offset_s8(codebook, vandq_u8(codes, vdupq_n_u8((1 << kBits) - 1)));
}

// Decodes 16 bytes.
template <int kBits>
static inline void DecodeSixteen(const uint8_t* codes, const int8_t* codebook, int8_t* to) {
  const uint8x16_t bytes = vldrbq_u8(codes);
  if constexpr (kBits == 4) {
    int8x16x2_t weights;
    for (int i = 0; i < 2; ++i) weights.val[i] = WeightsAt<4>(bytes, 4 * i, codebook);
    vst2q_s8(to, weights);
  } else {
    int8x16x4_t weights;
    for (int i = 0; i < 4; ++i) weights.val[i] = WeightsAt<2>(bytes, 2 * i, codebook);
    vst4q_s8(to, weights);
  }
}
#endif

template <int kBits>
static inline const uint8_t* DecodeCodes(const uint8_t* codes, const int8_t* codebook,
                                         int32_t count, int8_t* to) {
  constexpr int32_t kPerByte = 8 / kBits;
#if defined(EDGEAX_MICRO_CODES_HELIUM)
  if constexpr (kBits > 1) {
    constexpr int32_t kWhole = 16 * kPerByte;
    for (; count >= kWhole; count -= kWhole, codes += 16, to += kWhole) {
      DecodeSixteen<kBits>(codes, codebook, to);
    }
  }
#endif
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
