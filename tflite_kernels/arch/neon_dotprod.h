#pragma once  // arch/neon_dotprod.h: the steps of the drivers on aarch64 with the dot product.

#include "tflite_kernels/arch/neon.h"
#include "tflite_kernels/arch/neon_dotprod_tile.h"
#include "tflite_kernels/arch/neon_transpose.h"

namespace edgeax {
namespace {

struct NeonDotprod : NeonSteps {
  using Finish = FinishNeon<8>;
  static constexpr bool kHasWholeRows = false;
  static constexpr int32_t kRows = 8;
  static constexpr int32_t kColumns = 8;
  static constexpr int32_t kFewRows = 2;

  // 16 weights each of 4 columns, to [4 fours of weights][8 columns][4]; adds them to `sum`.
  EDGEAX_DOTPROD static int32x4_t PackFour(int8x16_t c0, int8x16_t c1, int8x16_t c2, int8x16_t c3,
                                           Right* to, int32x4_t sum) {
    const FourRows fours = TransposeWords({c0, c1, c2, c3});
    vst1q_s8(to, fours.a);
    vst1q_s8(to + 32, fours.b);
    vst1q_s8(to + 64, fours.c);
    vst1q_s8(to + 96, fours.d);
    const int8x16_t ones = vdupq_n_s8(1);
    sum = vdotq_s32(vdotq_s32(sum, fours.a, ones), fours.b, ones);
    return vdotq_s32(vdotq_s32(sum, fours.c, ones), fours.d, ones);
  }

  // The same of columns c .. c + 3, from depth k on.
  template <typename Rows>
  EDGEAX_DOTPROD static int32x4_t PackStep(const Rows& rows, int32_t c, int32_t k, Right* to,
                                           int32x4_t sum) {
    return PackFour(rows.Load(c, k), rows.Load(c + 1, k), rows.Load(c + 2, k), rows.Load(c + 3, k),
                    to, sum);
  }

  template <typename Rows>
  EDGEAX_DOTPROD static int32x4_t PackTwoSteps(const Rows& rows, int32_t c, int32_t k, Right* to,
                                               int32x4_t sum) {
    const int8x16x2_t c0 = rows.LoadTwo(c, k), c1 = rows.LoadTwo(c + 1, k);
    const int8x16x2_t c2 = rows.LoadTwo(c + 2, k), c3 = rows.LoadTwo(c + 3, k);
    sum = PackFour(c0.val[0], c1.val[0], c2.val[0], c3.val[0], to, sum);
    return PackFour(c0.val[1], c1.val[1], c2.val[1], c3.val[1], to + kDepthStep * kColumns, sum);
  }

  // right int8 [padded_depth / 4][8 columns][4].
  template <typename Rows>
  EDGEAX_DOTPROD static void PackRight(const Rows& rows, int32_t padded_depth,
                                       const Quantization& quantization, Right* right,
                                       int32_t* offsets) {
    int32x4_t low = vdupq_n_s32(0), high = low;
    const ptrdiff_t inside = rows.DepthInside(kColumns);
    int32_t k = 0;
    for (; k + 2 * kDepthStep <= padded_depth && k + 2 * kDepthStep <= inside;
         k += 2 * kDepthStep, right += 2 * kDepthStep * kColumns) {
      low = PackTwoSteps(rows, 0, k, right, low);
      high = PackTwoSteps(rows, 4, k, right + 16, high);
    }
    for (; k < padded_depth; k += kDepthStep, right += kDepthStep * kColumns) {
      low = PackStep(rows, 0, k, right, low);
      high = PackStep(rows, 4, k, right + 16, high);
    }
    int32_t sums[kColumns];
    vst1q_s32(sums, low), vst1q_s32(sums + 4, high);
    for (int32_t c = 0; c < kColumns; ++c) offsets[c] = ZeroPointOffset(sums[c], quantization);
  }

  // sums int32 [8 rows][8 columns].
  static void Multiply(const Left* const* rows, const Right* right, int32_t padded_depth, int32_t,
                       int32_t* sums) {
    MultiplyTile8x8(rows, right, padded_depth, sums);
  }

  struct DotSums {
    int32x4_t products, weights;
  };

  EDGEAX_DOTPROD static void Add16Products(const Right* x, int8x16_t weights, DotSums* sums) {
    sums->products = vdotq_s32(sums->products, vld1q_s8(x), weights);
    sums->weights = vdotq_s32(sums->weights, weights, vdupq_n_s8(1));
  }

  // Adds the products of `x` with the weights of 16 nibbles of a row.
  template <int32_t kBits>
  EDGEAX_DOTPROD static void AddNibbles(const Right* x, uint8x16_t nibbles,
                                        const TablesNeon<kBits>& tables, DotSums* sums) {
    Add16Products(x, vqtbl1q_s8(tables.first, nibbles), sums);
    if (kBits <= 2) Add16Products(x + 16, vqtbl1q_s8(tables.second, nibbles), sums);
    if (kBits == 1) Add16Products(x + 32, vqtbl1q_s8(tables.third, nibbles), sums);
    if (kBits == 1) Add16Products(x + 48, vqtbl1q_s8(tables.fourth, nibbles), sums);
  }

  template <int32_t kBits>
  EDGEAX_DOTPROD static void AddStep(uint8x16_t bytes, const Right* x,
                                     const TablesNeon<kBits>& tables, DotSums* sums) {
    AddNibbles(x, vandq_u8(bytes, vdupq_n_u8(15)), tables, sums);
    AddNibbles(x + DotStep<kBits>() / 2, vshrq_n_u8(bytes, 4), tables, sums);
  }

  // sums[c] = (vector - zero point) . row c of weights, 8 rows.
  template <int32_t kBits>
  EDGEAX_DOTPROD static void Dot(const Right* vector, const uint8_t* const* rows,
                                 const CodebookColumns& weights, const Quantization& quantization,
                                 int32_t* sums) {
    constexpr int32_t kStep = DotStep<kBits>();
    const TablesNeon<kBits> tables(*weights.tables);
    const int32_t steps = (weights.depth + kStep - 1) / kStep;
    for (int32_t c = 0; c < kColumns; c += 4) {
      const uint8_t *r0 = rows[c], *r1 = rows[c + 1], *r2 = rows[c + 2], *r3 = rows[c + 3];
      const int32x4_t zero = vdupq_n_s32(0);
      DotSums s0 = {zero, zero}, s1 = s0, s2 = s0, s3 = s0;
      // The last of the rows ends last.
      const uint8_t* end = weights.weights_end;
      const ptrdiff_t whole = (end - r3) / 16;
      int32_t i = 0;
      for (; i < steps && i < whole; ++i) {
        const Right* x = vector + kStep * i;
        AddStep(vld1q_u8(r0 + 16 * i), x, tables, &s0);
        AddStep(vld1q_u8(r1 + 16 * i), x, tables, &s1);
        AddStep(vld1q_u8(r2 + 16 * i), x, tables, &s2);
        AddStep(vld1q_u8(r3 + 16 * i), x, tables, &s3);
      }
      for (; i < steps; ++i) {
        const Right* x = vector + kStep * i;
        AddStep(Load16(r0 + 16 * i, end), x, tables, &s0);
        AddStep(Load16(r1 + 16 * i, end), x, tables, &s1);
        AddStep(Load16(r2 + 16 * i, end), x, tables, &s2);
        AddStep(Load16(r3 + 16 * i, end), x, tables, &s3);
      }
      sums[c] = Total(s0, quantization);
      sums[c + 1] = Total(s1, quantization);
      sums[c + 2] = Total(s2, quantization);
      sums[c + 3] = Total(s3, quantization);
    }
  }

  static int32_t Total(const DotSums& sums, const Quantization& quantization) {
    const uint32_t products = static_cast<uint32_t>(vaddvq_s32(sums.products));
    const int32_t offset = ZeroPointOffset(vaddvq_s32(sums.weights), quantization);
    return static_cast<int32_t>(products + static_cast<uint32_t>(offset));
  }
};

}  // namespace
}  // namespace edgeax
