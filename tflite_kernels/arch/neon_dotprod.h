#pragma once  // arch/neon_dotprod.h: the steps of the drivers on aarch64 with the dot product.

#include "tflite_kernels/arch/neon.h"

// On functions instead of a compiler's flag for the file: GCC and ziglang spell that flag
// differently. What has it may only be called after HasDotprod() of dispatch.cc.
#define EDGEAX_DOTPROD __attribute__((target("arch=armv8.2-a+dotprod")))

namespace edgeax {
namespace {

struct NeonDotprod : NeonSteps {
  using Finish = FinishNeon<8>;
  static constexpr int32_t kRows = 8;
  static constexpr int32_t kColumns = 8;
  static constexpr int32_t kFewRows = 2;

  // 16 weights each of 4 columns, to [4 fours of weights][8 columns][4]; adds them to `sum`.
  template <typename Rows>
  EDGEAX_DOTPROD static int32x4_t PackFour(const Rows& rows, int32_t c, int32_t k, Right* to,
                                           int32x4_t sum) {
    const int32x4_t r0 = vreinterpretq_s32_s8(rows.Load(c, k));
    const int32x4_t r1 = vreinterpretq_s32_s8(rows.Load(c + 1, k));
    const int32x4_t r2 = vreinterpretq_s32_s8(rows.Load(c + 2, k));
    const int32x4_t r3 = vreinterpretq_s32_s8(rows.Load(c + 3, k));
    // Fours of weights are 32-bit numbers: a 4 x 4 transpose of them.
    const int64x2_t a0 = vreinterpretq_s64_s32(vtrn1q_s32(r0, r1));
    const int64x2_t a1 = vreinterpretq_s64_s32(vtrn2q_s32(r0, r1));
    const int64x2_t a2 = vreinterpretq_s64_s32(vtrn1q_s32(r2, r3));
    const int64x2_t a3 = vreinterpretq_s64_s32(vtrn2q_s32(r2, r3));
    const int8x16_t k0 = vreinterpretq_s8_s64(vtrn1q_s64(a0, a2));
    const int8x16_t k1 = vreinterpretq_s8_s64(vtrn1q_s64(a1, a3));
    const int8x16_t k2 = vreinterpretq_s8_s64(vtrn2q_s64(a0, a2));
    const int8x16_t k3 = vreinterpretq_s8_s64(vtrn2q_s64(a1, a3));
    vst1q_s8(to, k0);
    vst1q_s8(to + 32, k1);
    vst1q_s8(to + 64, k2);
    vst1q_s8(to + 96, k3);
    const int8x16_t ones = vdupq_n_s8(1);
    sum = vdotq_s32(vdotq_s32(sum, k0, ones), k1, ones);
    return vdotq_s32(vdotq_s32(sum, k2, ones), k3, ones);
  }

  // right int8 [padded_depth / 4][8 columns][4].
  template <typename Rows>
  EDGEAX_DOTPROD static void PackRight(const Rows& rows, int32_t padded_depth,
                                       const Quantization& quantization, Right* right,
                                       int32_t* offsets) {
    int32x4_t low = vdupq_n_s32(0), high = low;
    for (int32_t k = 0; k < padded_depth; k += kDepthStep, right += kDepthStep * kColumns) {
      low = PackFour(rows, 0, k, right, low);
      high = PackFour(rows, 4, k, right + 16, high);
    }
    int32_t sums[kColumns];
    vst1q_s32(sums, low), vst1q_s32(sums + 4, high);
    for (int32_t c = 0; c < kColumns; ++c) offsets[c] = ZeroPointOffset(sums[c], quantization);
  }

  // Adds the products of four depths of eight rows with eight columns.
#define EDGEAX_ADD_FOUR(lane)                              \
  do {                                                     \
    const int8x16_t w0 = vld1q_s8(right + 32 * lane);      \
    const int8x16_t w1 = vld1q_s8(right + 32 * lane + 16); \
    s00 = vdotq_laneq_s32(s00, w0, x0, lane);              \
    s01 = vdotq_laneq_s32(s01, w1, x0, lane);              \
    s10 = vdotq_laneq_s32(s10, w0, x1, lane);              \
    s11 = vdotq_laneq_s32(s11, w1, x1, lane);              \
    s20 = vdotq_laneq_s32(s20, w0, x2, lane);              \
    s21 = vdotq_laneq_s32(s21, w1, x2, lane);              \
    s30 = vdotq_laneq_s32(s30, w0, x3, lane);              \
    s31 = vdotq_laneq_s32(s31, w1, x3, lane);              \
    s40 = vdotq_laneq_s32(s40, w0, x4, lane);              \
    s41 = vdotq_laneq_s32(s41, w1, x4, lane);              \
    s50 = vdotq_laneq_s32(s50, w0, x5, lane);              \
    s51 = vdotq_laneq_s32(s51, w1, x5, lane);              \
    s60 = vdotq_laneq_s32(s60, w0, x6, lane);              \
    s61 = vdotq_laneq_s32(s61, w1, x6, lane);              \
    s70 = vdotq_laneq_s32(s70, w0, x7, lane);              \
    s71 = vdotq_laneq_s32(s71, w1, x7, lane);              \
  } while (false)

  // sums int32 [8 rows][8 columns].
  EDGEAX_DOTPROD __attribute__((noinline)) static void Multiply(const Left* const* rows,
                                                                const Right* right,
                                                                int32_t padded_depth, int32_t,
                                                                int32_t* sums) {
    const Left *r0 = rows[0], *r1 = rows[1], *r2 = rows[2], *r3 = rows[3];
    const Left *r4 = rows[4], *r5 = rows[5], *r6 = rows[6], *r7 = rows[7];
    // Named one by one: GCC keeps an array of accumulators in memory.
    const int32x4_t zero = vdupq_n_s32(0);
    int32x4_t s00 = zero, s01 = zero, s10 = zero, s11 = zero, s20 = zero, s21 = zero;
    int32x4_t s30 = zero, s31 = zero, s40 = zero, s41 = zero, s50 = zero, s51 = zero;
    int32x4_t s60 = zero, s61 = zero, s70 = zero, s71 = zero;
    for (int32_t k = 0; k < padded_depth; k += kDepthStep, right += kDepthStep * kColumns) {
      const int8x16_t x0 = vld1q_s8(r0 + k), x1 = vld1q_s8(r1 + k), x2 = vld1q_s8(r2 + k);
      const int8x16_t x3 = vld1q_s8(r3 + k), x4 = vld1q_s8(r4 + k), x5 = vld1q_s8(r5 + k);
      const int8x16_t x6 = vld1q_s8(r6 + k), x7 = vld1q_s8(r7 + k);
      EDGEAX_ADD_FOUR(0);
      EDGEAX_ADD_FOUR(1);
      EDGEAX_ADD_FOUR(2);
      EDGEAX_ADD_FOUR(3);
    }
    vst1q_s32(sums, s00), vst1q_s32(sums + 4, s01);
    vst1q_s32(sums + 8, s10), vst1q_s32(sums + 12, s11);
    vst1q_s32(sums + 16, s20), vst1q_s32(sums + 20, s21);
    vst1q_s32(sums + 24, s30), vst1q_s32(sums + 28, s31);
    vst1q_s32(sums + 32, s40), vst1q_s32(sums + 36, s41);
    vst1q_s32(sums + 40, s50), vst1q_s32(sums + 44, s51);
    vst1q_s32(sums + 48, s60), vst1q_s32(sums + 52, s61);
    vst1q_s32(sums + 56, s70), vst1q_s32(sums + 60, s71);
  }
#undef EDGEAX_ADD_FOUR

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
