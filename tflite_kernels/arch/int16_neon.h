#pragma once  // arch/int16_neon.h: products of int16 on aarch64.

#include <arm_neon.h>

#include "tflite_kernels/arch/int16_matmul.h"
#include "tflite_kernels/arch/neon_codes.h"

namespace edgeax {
namespace {

struct Int16Neon {
  static constexpr int32_t kRows = 8;
  static constexpr int32_t kColumns = 8;
  static constexpr int32_t kFewRows = 4;
  static constexpr int32_t kDotStep = 32;
  static constexpr int32_t kPairsOfStep = 2;  // in a lane of Dot's sums

  // The sums of a row with 8 columns.
  struct RowSums {
    int32x4_t first = vdupq_n_s32(0), second = vdupq_n_s32(0);

    // Weights of depth number kDepth of eight.
    template <int kDepth>
    void Add(int16x8_t x, int16x8_t weights) {
      first = vmlal_laneq_s16(first, vget_low_s16(weights), x, kDepth);
      second = vmlal_high_laneq_s16(second, weights, x, kDepth);
    }

    void Store(int32_t* sums) const {
      vst1q_s32(sums, first);
      vst1q_s32(sums + 4, second);
    }
  };

  // Eight depths of each row.
  struct Inputs {
    int16x8_t row0, row1, row2, row3, row4, row5, row6, row7;
  };

  struct Sums {
    RowSums row0, row1, row2, row3, row4, row5, row6, row7;

    template <int kDepth>
    void Add(const Inputs& x, int16x8_t weights) {
      row0.Add<kDepth>(x.row0, weights);
      row1.Add<kDepth>(x.row1, weights);
      row2.Add<kDepth>(x.row2, weights);
      row3.Add<kDepth>(x.row3, weights);
      row4.Add<kDepth>(x.row4, weights);
      row5.Add<kDepth>(x.row5, weights);
      row6.Add<kDepth>(x.row6, weights);
      row7.Add<kDepth>(x.row7, weights);
    }

    template <int kPair>
    void AddPair(const Inputs& x, const int16_t* right) {
      const int16x8x2_t weights = vld2q_s16(right + kPair * 2 * kColumns);
      Add<2 * kPair>(x, weights.val[0]);
      Add<2 * kPair + 1>(x, weights.val[1]);
    }
  };

  // sums int32 [kRows][kColumns] of `pairs` pairs of depths, whole steps of them; `right`
  // [pairs][kColumns][2].
  __attribute__((noinline)) static void Multiply(const int16_t* const* rows, const int16_t* right,
                                                 int32_t pairs, int32_t* sums) {
    static_assert(kInt16DepthStep == 8, "four pairs are added in one go");
    Sums all;
    for (int32_t k = 0; k < 2 * pairs; k += kInt16DepthStep, right += kInt16DepthStep * kColumns) {
      const Inputs x = {vld1q_s16(rows[0] + k), vld1q_s16(rows[1] + k), vld1q_s16(rows[2] + k),
                        vld1q_s16(rows[3] + k), vld1q_s16(rows[4] + k), vld1q_s16(rows[5] + k),
                        vld1q_s16(rows[6] + k), vld1q_s16(rows[7] + k)};
      all.AddPair<0>(x, right);
      all.AddPair<1>(x, right);
      all.AddPair<2>(x, right);
      all.AddPair<3>(x, right);
    }
    all.row0.Store(sums);
    all.row1.Store(sums + kColumns);
    all.row2.Store(sums + 2 * kColumns);
    all.row3.Store(sums + 3 * kColumns);
    all.row4.Store(sums + 4 * kColumns);
    all.row5.Store(sums + 5 * kColumns);
    all.row6.Store(sums + 6 * kColumns);
    all.row7.Store(sums + 7 * kColumns);
  }

  template <int32_t kBits>
  using Tables = TablesNeon<kBits>;

  static int32x4_t AddProducts(int32x4_t sum, int8x8_t weights, const int16_t* x) {
    const int16x8_t wide = vmovl_s8(weights), vector = vld1q_s16(x);
    return vmlal_high_s16(vmlal_s16(sum, vget_low_s16(wide), vget_low_s16(vector)), wide, vector);
  }

  // The sum of the products of a row of codes and `x`, which has whole steps. An int32 sum holds
  // `most_steps` of them.
  template <int32_t kBits>
  __attribute__((noinline)) static int64_t Dot(const int16_t* x, const uint8_t* row,
                                               int32_t row_bytes, const Tables<kBits>& tables,
                                               int32_t most_steps) {
    constexpr int32_t kBytes = kDotStep / 8 * kBits;
    int64_t sum = 0;
    for (int32_t byte = 0; byte < row_bytes;) {
      int32x4_t first = vdupq_n_s32(0), second = vdupq_n_s32(0);
      for (int32_t step = 0; step < most_steps && byte < row_bytes; ++step, x += kDotStep) {
        uint8_t last[kBytes] = {};
        const uint8_t* codes = row + byte;
        if (row_bytes - byte < kBytes) {
          memcpy(last, codes, static_cast<size_t>(row_bytes - byte));
          codes = last;
        }
        const int8x16x2_t weights = Decode32(codes, tables);
        first = AddProducts(first, vget_low_s8(weights.val[0]), x);
        second = AddProducts(second, vget_high_s8(weights.val[0]), x + 8);
        first = AddProducts(first, vget_low_s8(weights.val[1]), x + 16);
        second = AddProducts(second, vget_high_s8(weights.val[1]), x + 24);
        byte += kBytes;
      }
      sum += vaddlvq_s32(first) + vaddlvq_s32(second);
    }
    return sum;
  }
};

}  // namespace
}  // namespace edgeax
