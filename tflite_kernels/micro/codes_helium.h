#pragma once  // micro/codes_helium.h: weights of codes with Helium, for Cortex-M55 and later.

#include <arm_mve.h>

#include "tflite_kernels/micro/types.h"

namespace edgeax {
namespace micro {
namespace helium {

// The weights of the codes at the bit kShift of 16 bytes, and of those at higher bits behind them.
template <int kBits, int kShift>
static inline void DecodeFields(uint8x16_t codes, const int8_t* codebook, int8_t* to) {
  uint8x16_t places = codes;
  if constexpr (kShift > 0) places = vshrq_n_u8(codes, kShift);
  if constexpr (kShift + kBits < 8) places = vandq_u8(places, vdupq_n_u8((1 << kBits) - 1));
  vst1q_s8(to, vldrbq_gather_offset_s8(codebook, places));
  if constexpr (kShift + kBits < 8) {
    DecodeFields<kBits, kShift + kBits>(codes, codebook, to + 16);
  }
}

// Decodes a tile of `size` weights, see codebook_conv2d.h.
template <int kBits>
static inline void Decode(const uint8_t* codes, const int8_t* codebook, int32_t size, int8_t* to) {
  constexpr int32_t kWhole = 16 * 8 / kBits;
  for (; size >= kWhole; size -= kWhole, codes += 16, to += kWhole) {
    DecodeFields<kBits, 0>(vld1q_u8(codes), codebook, to);
  }
  const mve_pred16_t stored = vctp8q(static_cast<uint32_t>(size));
  const uint8x16_t last = vldrbq_z_u8(codes, stored);
  for (int32_t shift = 0; size > 0; shift += kBits, size -= 16, to += 16) {
    const mve_pred16_t some = vctp8q(static_cast<uint32_t>(size));
    const uint8x16_t places = vandq_u8(vshlq_r_u8(last, -shift), vdupq_n_u8((1 << kBits) - 1));
    vstrbq_p_s8(to, vldrbq_gather_offset_z_s8(codebook, places, some), some);
  }
}

}  // namespace helium
}  // namespace micro
}  // namespace edgeax
