#pragma once  // arch/int16_neon.h: products of int16 on aarch64.

#include <arm_neon.h>

#include "tflite_kernels/arch/int16_matmul.h"

namespace edgeax {
namespace {

struct Int16Neon {
  static constexpr int32_t kRows = 8;
  static constexpr int32_t kColumns = 8;

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
};

}  // namespace
}  // namespace edgeax
