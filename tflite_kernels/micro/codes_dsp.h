#pragma once  // micro/codes_dsp.h: weights of codes, 4 at a time, on Cortex-M4, M7 and M33.

#include "tflite_kernels/micro/types.h"

namespace edgeax {
namespace micro {
namespace dsp {

// The weights of 4 codes in the bytes of a word.
static inline uint32_t WeightsOf(uint32_t codes, const uint8_t* codebook) {
  const uint32_t first = codebook[codes & 0xFF], second = codebook[(codes >> 8) & 0xFF];
  const uint32_t third = codebook[(codes >> 16) & 0xFF], fourth = codebook[codes >> 24];
  return first | second << 8 | third << 16 | fourth << 24;
}

// The weights of the codes at the bits kShift and up of 4 bytes; those of each field go 16 bytes
// behind those of the field before.
template <int kBits, int kShift>
static inline void DecodeFields(uint32_t codes, const uint8_t* codebook, int8_t* to) {
  constexpr uint32_t kMask = ((1u << kBits) - 1) * 0x01010101u;
  const uint32_t weights = WeightsOf((codes >> kShift) & kMask, codebook);
  __builtin_memcpy(to, &weights, 4);
  if constexpr (kShift + kBits < 8) DecodeFields<kBits, kShift + kBits>(codes, codebook, to + 16);
}

// Decodes a tile of `size` weights, a multiple of 16, see codebook_conv2d.h.
template <int kBits>
static inline void Decode(const uint8_t* codes, const int8_t* codebook, int32_t size, int8_t* to) {
  constexpr int32_t kWhole = 16 * (8 / kBits);
  constexpr uint32_t kMask = ((1u << kBits) - 1) * 0x01010101u;
  const uint8_t* book = reinterpret_cast<const uint8_t*>(codebook);
  for (; size >= kWhole; size -= kWhole, to += kWhole) {
    for (const uint8_t* const end = codes + 16; codes < end; codes += 4, to += 4) {
      uint32_t four;
      __builtin_memcpy(&four, codes, 4);
      DecodeFields<kBits, 0>(four, book, to);
    }
    to -= 16;
  }
  for (int32_t shift = 0; size > 0; shift += kBits, size -= 16) {
    for (int32_t i = 0; i < 16; i += 4, to += 4) {
      uint32_t four;
      __builtin_memcpy(&four, codes + i, 4);
      const uint32_t weights = WeightsOf((four >> shift) & kMask, book);
      __builtin_memcpy(to, &weights, 4);
    }
  }
}

}  // namespace dsp
}  // namespace micro
}  // namespace edgeax
