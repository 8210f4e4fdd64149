#pragma once  // arch/neon_rows.h: rows of activations and products with them, on 64-bit Arm and,
              // with arch/armv7_intrinsics.h, on 32-bit Arm.

#include <arm_neon.h>

#include "tflite_kernels/arch/neon_codes.h"
#include "tflite_kernels/core/tensors.h"

namespace edgeax {
namespace {

// Adds 16 products to 4 partial sums. The sum of two products fits int16 unless both are of -128.
template <bool kHasLowest>
inline int32x4_t Add16Products(int32x4_t sum, int8x16_t x, int8x16_t w) {
  const int16x8_t low = vmull_s8(vget_low_s8(x), vget_low_s8(w));
  if (kHasLowest) return vpadalq_s16(vpadalq_s16(sum, low), vmull_high_s8(x, w));
  return vpadalq_s16(sum, vmlal_high_s8(low, x, w));
}

// Activations lie in scratch as they are: positions outside the image hold the zero point, and what
// it adds to a column's sum is taken off by the sum of the column's weights. Where a row is padded
// to a whole step the same correction covers whatever weights are read there.
struct NeonRows {
  using Left = int8_t;
  using Right = int8_t;
  template <int32_t kBits>
  using CodebookRows = CodebookRowsNeon<kBits>;
  static constexpr int32_t kDepthStep = 16;

  // Writes `count` numbers, or a whole number of steps; reads nothing from `end` on.
  static Left* PackLeft(const int8_t* from, const int8_t* end, int32_t count, const Quantization&,
                        Left* to) {
    int32_t i = 0;
    for (; i + 64 <= count; i += 64) {
      const int8x16_t a = vld1q_s8(from + i), b = vld1q_s8(from + i + 16);
      const int8x16_t c = vld1q_s8(from + i + 32), d = vld1q_s8(from + i + 48);
      vst1q_s8(to + i, a), vst1q_s8(to + i + 16, b);
      vst1q_s8(to + i + 32, c), vst1q_s8(to + i + 48, d);
    }
    for (; i < count && end - from >= i + kDepthStep; i += kDepthStep) {
      vst1q_s8(to + i, vld1q_s8(from + i));
    }
    for (; i < count; ++i) to[i] = from[i];
    return to + count;
  }

  // `count` positions that count as zero.
  static Left* FillLeft(Left* to, int32_t count, const Quantization& quantization) {
    const int8_t zero = static_cast<int8_t>(quantization.input_zero_point);
    for (int32_t i = 0; i < count; ++i) to[i] = zero;
    return to + count;
  }
};

}  // namespace
}  // namespace edgeax
