#pragma once  // arch/armv7.h: the steps of the driver of arch/matmul.h on 32-bit Arm with NEON.
              // Only for files compiled with -mfpu=neon.

#include <string.h>

#include "tflite_kernels/arch/armv7_intrinsics.h"
#include "tflite_kernels/arch/matmul.h"
#include "tflite_kernels/arch/neon_codes.h"

namespace edgeax {
namespace {

inline int32x2_t PairSums(int32x4_t a) { return vpadd_s32(vget_low_s32(a), vget_high_s32(a)); }

inline int32_t SumOf(int32x4_t a) {
  const int32x2_t pair = PairSums(a);
  return vget_lane_s32(vpadd_s32(pair, pair), 0);
}

// Adds 16 products to 4 partial sums. The sum of two products fits int16 unless both are of -128.
template <bool kHasLowest>
inline int32x4_t AddProducts(int32x4_t sum, int8x16_t x, int8x16_t w) {
  const int16x8_t low = vmull_s8(vget_low_s8(x), vget_low_s8(w));
  if (kHasLowest) {
    return vpadalq_s16(vpadalq_s16(sum, low), vmull_s8(vget_high_s8(x), vget_high_s8(w)));
  }
  return vpadalq_s16(sum, vmlal_s8(low, vget_high_s8(x), vget_high_s8(w)));
}

// What follows the sums of 4 output channels: bias, scaling, zero point, clamp.
struct FinishArmv7 {
  // `offsets` are added to the bias; sums wrap around.
  FinishArmv7(const int32_t* bias, const Requantization* factors, const int32_t* offsets,
              int32_t count, const Quantization& quantization)
      : factors(factors), quantization(quantization), count(count) {
    for (int32_t i = 0; i < 4; ++i) {
      const Requantization factor = i < count ? factors[i] : Requantization{0, 0};
      const uint32_t offset = static_cast<uint32_t>(offsets[i]);
      start[i] = i < count ? static_cast<int32_t>(static_cast<uint32_t>(bias[i]) + offset) : 0;
      multiplier[i] = factor.multiplier;
      left[i] = factor.shift - 31;
    }
  }

  // sums int32 [4]; writes `count` codes.
  void Store(const int32_t* sums, int8_t* output) const {
    int8_t codes[8];
    if (quantization.rounding == Rounding::kSingle) {
      // Every step saturates, so what is out of range stays at the right end of it.
      const int16x4_t zero = vdup_n_s16(static_cast<int16_t>(quantization.output_zero_point));
      const int16x4_t four = vqadd_s16(Scaled(sums), zero);
      const int8x8_t low = vdup_n_s8(static_cast<int8_t>(quantization.output_min));
      const int8x8_t high = vdup_n_s8(static_cast<int8_t>(quantization.output_max));
      vst1_s8(codes, vmin_s8(vmax_s8(vqmovn_s16(vcombine_s16(four, four)), low), high));
    } else {
      for (int32_t i = 0; i < count; ++i) {
        const uint32_t sum = static_cast<uint32_t>(sums[i]) + static_cast<uint32_t>(start[i]);
        codes[i] = OutputCode(sum, factors[i], quantization);
      }
    }
    if (count == 4) {
      memcpy(output, codes, 4);
    } else {
      CopyFirst(codes, count, output);
    }
  }

 private:
  // floor(sum * factor + 1/2), saturated to int16.
  int16x4_t Scaled(const int32_t* sums) const {
    const int32x4_t sum = vaddq_s32(vld1q_s32(sums), vld1q_s32(start));
    const int32x4_t factor = vld1q_s32(multiplier);
    const int64x2_t low = vmull_s32(vget_low_s32(sum), vget_low_s32(factor));
    const int64x2_t high = vmull_s32(vget_high_s32(sum), vget_high_s32(factor));
    return vqmovn_s32(vcombine_s32(vqmovn_s64(vrshlq_s64(low, vld1q_s64(left))),
                                   vqmovn_s64(vrshlq_s64(high, vld1q_s64(left + 2)))));
  }

  int64_t left[4];  // shift to the left, so negative
  int32_t multiplier[4];
  int32_t start[4];
  const Requantization* factors;
  Quantization quantization;
  int32_t count;
};

// Activations lie in scratch as they are: positions outside the image hold the zero point, and what
// it adds to a column's sum is taken off by the sum of the column's weights. Where a row is padded
// to a whole step the same correction covers whatever weights are read there.
struct Armv7 {
  using Left = int8_t;
  using Right = int8_t;
  using Finish = FinishArmv7;
  template <int32_t kBits>
  using CodebookRows = CodebookRowsNeon<kBits>;
  static constexpr int32_t kDepthStep = 16;
  static constexpr int32_t kRows = 2;
  static constexpr int32_t kColumns = 4;
  static constexpr int32_t kFewRows = 1;
  static constexpr bool kHasWholeRows = false;

  // Writes `count` numbers, or a whole number of steps; reads nothing from `end` on.
  static Left* PackLeft(const int8_t* from, const int8_t* end, int32_t count, const Quantization&,
                        Left* to) {
    int32_t i = 0;
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
      offsets[c] = ZeroPointOffset(SumOf(sum), quantization);
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
      s00 = AddProducts<kHasLowest>(s00, x0, w0), s10 = AddProducts<kHasLowest>(s10, x1, w0);
      s01 = AddProducts<kHasLowest>(s01, x0, w1), s11 = AddProducts<kHasLowest>(s11, x1, w1);
      const int8x16_t w2 = vld1q_s8(right + 32), w3 = vld1q_s8(right + 48);
      s02 = AddProducts<kHasLowest>(s02, x0, w2), s12 = AddProducts<kHasLowest>(s12, x1, w2);
      s03 = AddProducts<kHasLowest>(s03, x0, w3), s13 = AddProducts<kHasLowest>(s13, x1, w3);
    }
    StoreFour(s00, s01, s02, s03, sums);
    StoreFour(s10, s11, s12, s13, sums + kColumns);
  }

  static void StoreFour(int32x4_t a, int32x4_t b, int32x4_t c, int32x4_t d, int32_t* to) {
    vst1_s32(to, vpadd_s32(PairSums(a), PairSums(b)));
    vst1_s32(to + 2, vpadd_s32(PairSums(c), PairSums(d)));
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
        sum = AddProducts<kHasLowest>(sum, vld1q_s8(vector + k), w);
        weight_sum = vpadalq_s16(weight_sum, vpaddlq_s8(w));
      }
      const int32_t offset = ZeroPointOffset(SumOf(weight_sum), quantization);
      sums[c] =
          static_cast<int32_t>(static_cast<uint32_t>(SumOf(sum)) + static_cast<uint32_t>(offset));
    }
  }
};

}  // namespace
}  // namespace edgeax
