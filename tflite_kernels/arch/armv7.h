#pragma once  // arch/armv7.h: the steps of the driver of arch/matmul.h on 32-bit Arm with NEON.
              // Only for files compiled with -mfpu=neon.

#include <string.h>

#include "tflite_kernels/arch/armv7_intrinsics.h"
#include "tflite_kernels/arch/matmul.h"
#include "tflite_kernels/arch/neon_finish.h"
#include "tflite_kernels/arch/neon_rows.h"

namespace edgeax {
namespace {

struct Armv7 : NeonRows {
  using Finish = FinishNeon<4>;
  static constexpr int32_t kRows = 2;
  static constexpr int32_t kColumns = 4;
  static constexpr int32_t kFewRows = 1;
  static constexpr bool kHasWholeRows = false;

  // right int8 [padded_depth / 16][4 columns][16].
  template <typename Rows>
  static void PackRight(const Rows& rows, int32_t padded_depth, const Quantization& quantization,
                        Right* right, int32_t* offsets) {
    for (int32_t c = 0; c < kColumns; ++c) {
      int32x4_t sum = vdupq_n_s32(0);
      Right* to = right + c * kDepthStep;
      for (int32_t k = 0; k < padded_depth; k += kDepthStep, to += kColumns * kDepthStep) {
        const int8x16_t weights = rows.Load(c, k);
        vst1q_s8(to, weights);
        sum = vpadalq_s16(sum, vpaddlq_s8(weights));
      }
      offsets[c] = ZeroPointOffset(vaddvq_s32(sum), quantization);
    }
  }

  // sums int32 [2 rows][4 columns].
  static void Multiply(const Left* const* rows, const Right* right, int32_t padded_depth,
                       int32_t largest, int32_t* sums) {
    if (largest == kLargestWeight) {
      MultiplyTile<true>(rows[0], rows[1], right, padded_depth, sums);
    } else {
      MultiplyTile<false>(rows[0], rows[1], right, padded_depth, sums);
    }
  }

  template <bool kHasLowest>
  __attribute__((noinline)) static void MultiplyTile(const Left* r0, const Left* r1,
                                                     const Right* right, int32_t padded_depth,
                                                     int32_t* sums) {
    // Named one by one: GCC keeps an array of accumulators in memory.
    const int32x4_t zero = vdupq_n_s32(0);
    int32x4_t s00 = zero, s01 = zero, s02 = zero, s03 = zero;
    int32x4_t s10 = zero, s11 = zero, s12 = zero, s13 = zero;
    for (int32_t k = 0; k < padded_depth; k += kDepthStep, right += kColumns * kDepthStep) {
      const int8x16_t x0 = vld1q_s8(r0 + k), x1 = vld1q_s8(r1 + k);
      const int8x16_t w0 = vld1q_s8(right), w1 = vld1q_s8(right + 16);
      s00 = Add16Products<kHasLowest>(s00, x0, w0), s10 = Add16Products<kHasLowest>(s10, x1, w0);
      s01 = Add16Products<kHasLowest>(s01, x0, w1), s11 = Add16Products<kHasLowest>(s11, x1, w1);
      const int8x16_t w2 = vld1q_s8(right + 32), w3 = vld1q_s8(right + 48);
      s02 = Add16Products<kHasLowest>(s02, x0, w2), s12 = Add16Products<kHasLowest>(s12, x1, w2);
      s03 = Add16Products<kHasLowest>(s03, x0, w3), s13 = Add16Products<kHasLowest>(s13, x1, w3);
    }
    vst1q_s32(sums, vpaddq_s32(vpaddq_s32(s00, s01), vpaddq_s32(s02, s03)));
    vst1q_s32(sums + 4, vpaddq_s32(vpaddq_s32(s10, s11), vpaddq_s32(s12, s13)));
  }

  // A row as it is: Dot decodes weights in their order.
  static size_t VectorBytes(int32_t padded_depth) { return static_cast<size_t>(padded_depth); }

  template <int32_t kBits>
  static void PackVector(const Left* row, int32_t padded_depth, const Quantization&, Right* to) {
    memcpy(to, row, VectorBytes(padded_depth));
  }

  // sums[c] = (vector - zero point) . row c of weights, 4 rows.
  template <int32_t kBits>
  static void Dot(const Right* vector, const uint8_t* const* rows, const CodebookColumns& weights,
                  const Quantization& quantization, int32_t* sums) {
    if (weights.columns.largest == kLargestWeight) {
      DotRows<kBits, true>(vector, rows, weights, quantization, sums);
    } else {
      DotRows<kBits, false>(vector, rows, weights, quantization, sums);
    }
  }

  template <int32_t kBits, bool kHasLowest>
  static void DotRows(const Right* vector, const uint8_t* const* rows,
                      const CodebookColumns& weights, const Quantization& quantization,
                      int32_t* sums) {
    const CodebookRows<kBits> tile(rows, weights);
    for (int32_t c = 0; c < kColumns; ++c) {
      int32x4_t sum = vdupq_n_s32(0), weight_sum = sum;
      for (int32_t k = 0; k < weights.depth; k += kDepthStep) {
        const int8x16_t w = tile.Load(c, k);
        sum = Add16Products<kHasLowest>(sum, vld1q_s8(vector + k), w);
        weight_sum = vpadalq_s16(weight_sum, vpaddlq_s8(w));
      }
      const int32_t offset = ZeroPointOffset(vaddvq_s32(weight_sum), quantization);
      sums[c] = static_cast<int32_t>(static_cast<uint32_t>(vaddvq_s32(sum)) +
                                     static_cast<uint32_t>(offset));
    }
  }
};

}  // namespace
}  // namespace edgeax
