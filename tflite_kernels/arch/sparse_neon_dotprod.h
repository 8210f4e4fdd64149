#pragma once  // arch/sparse_neon_dotprod.h: the steps of the sparse driver with the dot product.

#include "tflite_kernels/arch/neon_dotprod.h"
#include "tflite_kernels/arch/sparse_neon.h"
#include "tflite_kernels/arch/sparse_neon_dotprod_tile.h"

namespace edgeax {
namespace {

struct SparseNeonDotprod : SparseNeonSteps<NeonDotprod> {
  using Balanced = BalancedNeonDotprod;
  static constexpr int32_t kGroup = 4;  // depths that sdot takes at once
  // The Lanes form serves up to so many weights of a hundred that are left.
  static constexpr int32_t kLanesPercent = 22;
  static constexpr int32_t kGroupedLanesPercent = 55;

  EDGEAX_DOTPROD static ListSums CopyWeights(const int8_t* values, int32_t count, ListWeight* to) {
    const int8x16_t ones = vdupq_n_s8(1);
    int32x4_t sums = vdupq_n_s32(0);
    int32_t i = 0;
    for (; i + 16 <= count; i += 16) {
      const int8x16_t weights = vld1q_s8(values + i);
      vst1q_s8(to + i, weights);
      sums = vdotq_s32(sums, weights, ones);
    }
    int32_t sum = vaddvq_s32(sums);
    for (; i < count; ++i) sum += to[i] = values[i];
    return {sum, false};  // -128 is like any other
  }

  // 8 rows of 8 depths, or of 4 groups, `from_pitch` numbers apart, to so many groups of 8 rows.
  template <int32_t kGroupSize>
  static void Transpose(const int8_t* from, ptrdiff_t from_pitch, int8_t* to, ptrdiff_t to_pitch) {
    if (kGroupSize == 1) return TransposeBytes(from, from_pitch, to, to_pitch);
    TransposeWords(from, from_pitch, to, to_pitch);
    TransposeWords(from + 4 * from_pitch, from_pitch, to + 16, to_pitch);
  }

  // sums int32 [16 * kParts rows] of the products of a list, `count` a multiple of 4.
  template <int32_t kGroupSize, int32_t kParts>
  static void AddLanes(const int8_t* lanes, const int32_t* offsets, const int8_t* weights,
                       int32_t count, bool, int32_t* sums) {
    if (kGroupSize == 1) {
      AddSingles<kParts>(lanes, offsets, weights, count, sums);
    } else if (kParts == 4 && count > 0) {
      AddGroups64(lanes, offsets, weights, count, sums);
    } else if (kParts == 2 && count > 0) {
      AddGroups32(lanes, offsets, weights, count, sums);
    } else {
      AddGroups<kParts>(lanes, offsets, weights, count, sums);
    }
  }

  // Adds the products of one weight each of four depths with 16 rows.
  EDGEAX_DOTPROD static void AddFour(const int8_t* const* from, int32_t row, int8x16_t w,
                                     FourSums* sums) {
    const int8x16_t x0 = vld1q_s8(from[0] + row), x1 = vld1q_s8(from[1] + row);
    const int8x16_t x2 = vld1q_s8(from[2] + row), x3 = vld1q_s8(from[3] + row);
    const int16x8_t low01 = vreinterpretq_s16_s8(vzip1q_s8(x0, x1));
    const int16x8_t high01 = vreinterpretq_s16_s8(vzip2q_s8(x0, x1));
    const int16x8_t low23 = vreinterpretq_s16_s8(vzip1q_s8(x2, x3));
    const int16x8_t high23 = vreinterpretq_s16_s8(vzip2q_s8(x2, x3));
    sums->a = vdotq_s32(sums->a, vreinterpretq_s8_s16(vzip1q_s16(low01, low23)), w);
    sums->b = vdotq_s32(sums->b, vreinterpretq_s8_s16(vzip2q_s16(low01, low23)), w);
    sums->c = vdotq_s32(sums->c, vreinterpretq_s8_s16(vzip1q_s16(high01, high23)), w);
    sums->d = vdotq_s32(sums->d, vreinterpretq_s8_s16(vzip2q_s16(high01, high23)), w);
  }

  template <int32_t kParts>
  EDGEAX_DOTPROD __attribute__((noinline)) static void AddSingles(const int8_t* lanes,
                                                                  const int32_t* offsets,
                                                                  const int8_t* weights,
                                                                  int32_t count, int32_t* to) {
    LaneSums<kParts> sums;
    for (int32_t i = 0; i < count; i += 4) {
      int32_t four;
      memcpy(&four, weights + i, sizeof(four));
      const int8x16_t w = vreinterpretq_s8_s32(vdupq_n_s32(four));
      const int8_t* const from[] = {lanes + offsets[i], lanes + offsets[i + 1],
                                    lanes + offsets[i + 2], lanes + offsets[i + 3]};
      AddFour(from, 0, w, &sums.first);
      if (kParts > 1) AddFour(from, 16, w, &sums.second);
      if (kParts > 2) AddFour(from, 32, w, &sums.third);
      if (kParts > 2) AddFour(from, 48, w, &sums.fourth);
    }
    sums.Store(to);
  }

  // Adds the products of a group of weights, number kLane of four, with 16 rows.
  template <int32_t kLane>
  EDGEAX_DOTPROD static void AddGroup(const int8_t* from, int8x16_t w, FourSums* sums) {
    sums->a = vdotq_laneq_s32(sums->a, vld1q_s8(from), w, kLane);
    sums->b = vdotq_laneq_s32(sums->b, vld1q_s8(from + 16), w, kLane);
    sums->c = vdotq_laneq_s32(sums->c, vld1q_s8(from + 32), w, kLane);
    sums->d = vdotq_laneq_s32(sums->d, vld1q_s8(from + 48), w, kLane);
  }

  template <int32_t kLane, int32_t kParts>
  EDGEAX_DOTPROD static void AddGroupOfAll(const int8_t* from, int8x16_t w,
                                           LaneSums<kParts>* sums) {
    AddGroup<kLane>(from, w, &sums->first);
    if (kParts > 1) AddGroup<kLane>(from + 64, w, &sums->second);
    if (kParts > 2) AddGroup<kLane>(from + 128, w, &sums->third);
    if (kParts > 2) AddGroup<kLane>(from + 192, w, &sums->fourth);
    // Keeps the loads of a group beside each other, where GCC makes pairs of them.
    __asm__ volatile("" ::: "memory");
  }

  template <int32_t kParts>
  EDGEAX_DOTPROD __attribute__((noinline)) static void AddGroups(const int8_t* lanes,
                                                                 const int32_t* offsets,
                                                                 const int8_t* weights,
                                                                 int32_t count, int32_t* to) {
    LaneSums<kParts> sums;
    for (int32_t i = 0; i < count; i += 4) {
      const int8x16_t w = vld1q_s8(weights + 4 * i);
      AddGroupOfAll<0>(lanes + offsets[i], w, &sums);
      AddGroupOfAll<1>(lanes + offsets[i + 1], w, &sums);
      AddGroupOfAll<2>(lanes + offsets[i + 2], w, &sums);
      AddGroupOfAll<3>(lanes + offsets[i + 3], w, &sums);
    }
    sums.Store(to);
  }
};

}  // namespace
}  // namespace edgeax
