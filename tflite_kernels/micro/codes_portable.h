#pragma once  // micro/codes_portable.h: weights of codes in portable C++.

#include "tflite_kernels/micro/types.h"

namespace edgeax {
namespace micro {
namespace portable {

// Decodes a tile of `size` weights, see codebook_conv2d.h.
template <int kBits>
static inline void Decode(const uint8_t* codes, const int8_t* codebook, int32_t size, int8_t* to) {
  constexpr uint32_t kMask = (1u << kBits) - 1;
  for (; size > 0; codes += 16) {
    for (int32_t shift = 0; shift < 8 && size > 0; shift += kBits, size -= 16, to += 16) {
      const int32_t count = size < 16 ? size : 16;
      for (int32_t i = 0; i < count; ++i) to[i] = codebook[(codes[i] >> shift) & kMask];
    }
  }
}

}  // namespace portable
}  // namespace micro
}  // namespace edgeax
