#pragma once  // arch/sparse_neon.h: the steps of the sparse driver on aarch64.

#include "tflite_kernels/arch/balanced.h"
#include "tflite_kernels/arch/balanced_neon.h"
#include "tflite_kernels/arch/neon.h"
#include "tflite_kernels/arch/neon_transpose.h"
#include "tflite_kernels/arch/sparse_matmul.h"
#include "tflite_kernels/arch/sparse_neon_tile.h"

namespace edgeax {
namespace {

struct FourSums {
  int32x4_t a, b, c, d;
};

// Adds the products of one weight each of two depths with 16 rows. The sum of two products fits
// int16 unless both are of -128.
template <bool kHasLowest>
inline void AddTwo(const int8_t* x, const int8_t* y, int8x16_t wx, int8x16_t wy, FourSums* sums) {
  const int8x16_t from_x = vld1q_s8(x), from_y = vld1q_s8(y);
  const auto add = [&](int16x8_t low, int16x8_t high) {
    sums->a = vaddw_s16(sums->a, vget_low_s16(low));
    sums->b = vaddw_high_s16(sums->b, low);
    sums->c = vaddw_s16(sums->c, vget_low_s16(high));
    sums->d = vaddw_high_s16(sums->d, high);
  };
  const int16x8_t low = vmull_s8(vget_low_s8(from_x), vget_low_s8(wx));
  const int16x8_t high = vmull_high_s8(from_x, wx);
  if (kHasLowest) {
    add(low, high);
    add(vmull_s8(vget_low_s8(from_y), vget_low_s8(wy)), vmull_high_s8(from_y, wy));
  } else {
    add(vmlal_s8(low, vget_low_s8(from_y), vget_low_s8(wy)), vmlal_high_s8(high, from_y, wy));
  }
}

inline void StoreSums(const FourSums& sums, int32_t* to) {
  vst1q_s32(to, sums.a), vst1q_s32(to + 4, sums.b);
  vst1q_s32(to + 8, sums.c), vst1q_s32(to + 12, sums.d);
}

// The sums of 16 * kParts rows. Named one by one: GCC keeps an array of accumulators in memory.
template <int32_t kParts>
struct LaneSums {
  FourSums first, second, third, fourth;

  LaneSums() {
    const int32x4_t zero = vdupq_n_s32(0);
    first = second = third = fourth = {zero, zero, zero, zero};
  }

  void Store(int32_t* to) const {
    StoreSums(first, to);
    if (kParts > 1) StoreSums(second, to + 16);
    if (kParts > 2) StoreSums(third, to + 32), StoreSums(fourth, to + 48);
  }
};

// A weight in every lane, and a barrier: LLVM would widen it at once and multiply by halves.
#define EDGEAX_DUP(weights, lane)                        \
  ({                                                     \
    int8x16_t every_lane = vdupq_lane_s8(weights, lane); \
    __asm__("" : "+w"(every_lane));                      \
    every_lane;                                          \
  })

template <int32_t kParts, bool kHasLowest>
inline void AddTwoOfAll(const int8_t* x, const int8_t* y, int8x16_t wx, int8x16_t wy,
                        LaneSums<kParts>* sums) {
  AddTwo<kHasLowest>(x, y, wx, wy, &sums->first);
  if (kParts > 1) AddTwo<kHasLowest>(x + 16, y + 16, wx, wy, &sums->second);
  if (kParts > 2) AddTwo<kHasLowest>(x + 32, y + 32, wx, wy, &sums->third);
  if (kParts > 2) AddTwo<kHasLowest>(x + 48, y + 48, wx, wy, &sums->fourth);
}

// sums int32 [16 * kParts rows] of the products of a list of single weights, `count` a multiple of
// 4.
template <int32_t kParts, bool kHasLowest>
__attribute__((noinline)) void AddSingles(const int8_t* lanes, const int32_t* offsets,
                                          const int8_t* weights, int32_t count, int32_t* to) {
  LaneSums<kParts> sums;
  for (const int32_t* end = offsets + count; offsets < end; offsets += 4, weights += 4) {
    int32_t four;
    memcpy(&four, weights, sizeof(four));
    const int8x8_t w = vreinterpret_s8_s32(vdup_n_s32(four));
    AddTwoOfAll<kParts, kHasLowest>(lanes + offsets[0], lanes + offsets[1], EDGEAX_DUP(w, 0),
                                    EDGEAX_DUP(w, 1), &sums);
    AddTwoOfAll<kParts, kHasLowest>(lanes + offsets[2], lanes + offsets[3], EDGEAX_DUP(w, 2),
                                    EDGEAX_DUP(w, 3), &sums);
  }
  sums.Store(to);
}
#undef EDGEAX_DUP

// Adds the products of two weights each of two pairs of depths with 8 rows. The sum of two products
// fits int16 unless both are of -128.
template <bool kHasLowest>
inline void AddTwoPairs(const int8_t* x, const int8_t* y, int8x16_t wx, int8x16_t wy,
                        int32x4_t* low_sum, int32x4_t* high_sum) {
  const int8x16_t from_x = vld1q_s8(x), from_y = vld1q_s8(y);
  const int16x8_t low = vmull_s8(vget_low_s8(from_x), vget_low_s8(wx));
  const int16x8_t high = vmull_high_s8(from_x, wx);
  if (kHasLowest) {
    *low_sum =
        vpadalq_s16(vpadalq_s16(*low_sum, low), vmull_s8(vget_low_s8(from_y), vget_low_s8(wy)));
    *high_sum = vpadalq_s16(vpadalq_s16(*high_sum, high), vmull_high_s8(from_y, wy));
  } else {
    *low_sum = vpadalq_s16(*low_sum, vmlal_s8(low, vget_low_s8(from_y), vget_low_s8(wy)));
    *high_sum = vpadalq_s16(*high_sum, vmlal_high_s8(high, from_y, wy));
  }
}

// The same with 16 rows.
template <bool kHasLowest>
inline void AddTwoPairs(const int8_t* x, const int8_t* y, int8x16_t wx, int8x16_t wy,
                        FourSums* sums) {
  AddTwoPairs<kHasLowest>(x, y, wx, wy, &sums->a, &sums->b);
  AddTwoPairs<kHasLowest>(x + 16, y + 16, wx, wy, &sums->c, &sums->d);
}

// sums int32 [16 * kParts rows] of the products of a list of pairs of weights, `count` a multiple
// of 4.
template <int32_t kParts, bool kHasLowest>
__attribute__((noinline)) void AddPairs(const int8_t* lanes, const int32_t* offsets,
                                        const int8_t* weights, int32_t count, int32_t* to) {
  LaneSums<kParts> sums;
  const auto add = [&](const int8_t* x, const int8_t* y, int8x16_t wx, int8x16_t wy) {
    AddTwoPairs<kHasLowest>(x, y, wx, wy, &sums.first);
    if (kParts > 1) AddTwoPairs<kHasLowest>(x + 32, y + 32, wx, wy, &sums.second);
    if (kParts > 2) AddTwoPairs<kHasLowest>(x + 64, y + 64, wx, wy, &sums.third);
    if (kParts > 2) AddTwoPairs<kHasLowest>(x + 96, y + 96, wx, wy, &sums.fourth);
  };
  const auto every = [](int16x8_t pair) { return vreinterpretq_s8_s16(pair); };
  for (const int32_t* end = offsets + count; offsets < end; offsets += 4, weights += 8) {
    const int16x4_t w = vreinterpret_s16_s8(vld1_s8(weights));
    add(lanes + offsets[0], lanes + offsets[1], every(vdupq_lane_s16(w, 0)),
        every(vdupq_lane_s16(w, 1)));
    add(lanes + offsets[2], lanes + offsets[3], every(vdupq_lane_s16(w, 2)),
        every(vdupq_lane_s16(w, 3)));
  }
  sums.Store(to);
}

// What does not depend on the dot product.
template <typename Base>
struct SparseNeonSteps : Base {
  using LanesFinish = typename Base::Finish;
  using ListWeight = int8_t;
  using VectorNumber = int16_t;  // less the zero point
  static constexpr int32_t kFewSparseRows = 2;
  static constexpr bool kDotsMaskOfFours = false;
  static constexpr bool kUsesPlanes = true;
  static constexpr bool kTransposesCodes = false;
  static constexpr int32_t kSharedColumns = 1;
  static constexpr bool kFinishesLanes = false;
  static constexpr bool kTakesBalanced = true;
  static constexpr int32_t kSumRows = 4;

  // The Vector form reads weights of a mask with their zeros from so many of a hundred on.
  static constexpr int32_t kExpandPercent = 12;

  // What the zero point adds to a sum.
  static int32_t OffsetOf(int32_t weight_sum, const Quantization& quantization) {
    return ZeroPointOffset(weight_sum, quantization);
  }

  static int32_t VectorOffset(const int8_t*, int32_t, const Quantization&) { return 0; }

  static ListSums CopyWeights(const int8_t* values, int32_t count, ListWeight* to) {
    int32x4_t sums = vdupq_n_s32(0);
    int8x16_t lowest = vdupq_n_s8(0);
    int32_t i = 0;
    for (; i + 16 <= count; i += 16) {
      const int8x16_t weights = vld1q_s8(values + i);
      vst1q_s8(to + i, weights);
      sums = vpadalq_s16(sums, vpaddlq_s8(weights));
      lowest = vminq_s8(lowest, weights);
    }
    int32_t sum = vaddvq_s32(sums);
    bool has_lowest = vminvq_s8(lowest) == INT8_MIN;
    for (; i < count; ++i) {
      to[i] = values[i];
      sum += values[i];
      has_lowest |= values[i] == INT8_MIN;
    }
    return {sum, has_lowest};
  }

  // A row less its zero point.
  static void Center(const int8_t* row, int32_t padded_depth, const Quantization& quantization,
                     int16_t* to) {
    const int8x8_t zero = vdup_n_s8(static_cast<int8_t>(quantization.input_zero_point));
    for (int32_t k = 0; k < padded_depth; k += 8)
      vst1q_s16(to + k, vsubl_s8(vld1_s8(row + k), zero));
  }

  // sums int32 [kColumns][pitch], of which 4 rows go to [4 rows][kColumns].
  static void TransposeSums(const int32_t* sums, ptrdiff_t pitch, int32_t* to) {
    constexpr ptrdiff_t kWord = sizeof(int32_t);
    for (int32_t c = 0; c < Base::kColumns; c += 4) {
      TransposeWords(sums + c * pitch, pitch * kWord, to + c, Base::kColumns * kWord);
    }
  }

  // The numbers of a table that stand where a mask of `count` bits has ones. Returns how many.
  static int32_t SelectByMask(const int32_t* table, const uint8_t* mask, int32_t count,
                              int32_t* to) {
    int32_t* const start = to;
    const uint8_t* const end = mask + (count + 7) / 8;
    for (; count > 0; count -= 64, mask += 8, table += 64) {
      uint64_t bits = LoadMask(mask, end);
      if (count < 64) bits &= (uint64_t{1} << count) - 1;
      for (; bits != 0; bits &= bits - 1) *to++ = table[__builtin_ctzll(bits)];
    }
    return static_cast<int32_t>(to - start);
  }

  // 8 weights of a mask with their zeros. Reads 8 values; `values` becomes the next one.
  static int8x8_t Expand8(uint8_t mask, const int8_t** values) {
    const uint8x8_t index = vld1_u8(kExpandTable.index[mask]);
    const int8x8_t weights = vtbl1_s8(vld1_s8(*values), vreinterpret_s8_u8(index));
    *values += kExpandTable.count[mask];
    return weights;
  }

  // Writes 16 of them; returns the next value.
  static const int8_t* Expand16(const uint8_t* mask, const int8_t* values, int8_t* to) {
    vst1_s8(to, Expand8(mask[0], &values));
    vst1_s8(to + 8, Expand8(mask[1], &values));
    return values;
  }

  // The products of a vector with the weights of a mask.
  struct MaskSum {
    int32x4_t low = vdupq_n_s32(0), high = low;

    // 16 more; returns the next value.
    const int8_t* Add16(const int16_t* vector, const uint8_t* mask, const int8_t* values) {
      Add8(vector, Expand8(mask[0], &values));
      Add8(vector + 8, Expand8(mask[1], &values));
      return values;
    }

    void Add8(const int16_t* vector, int8x8_t weights) {
      const int16x8_t w = vmovl_s8(weights);
      const int16x8_t x = vld1q_s16(vector);
      low = vmlal_s16(low, vget_low_s16(x), vget_low_s16(w));
      high = vmlal_high_s16(high, x, w);
    }

    int32_t Total() const { return vaddvq_s32(vaddq_s32(low, high)); }
  };

  // The numbers that 8 weights meet.
  template <int32_t kBlock>
  static int16x8_t Gather8(const int16_t* vector, const int32_t* at) {
    if (kBlock == 4) return vcombine_s16(vld1_s16(vector + at[0]), vld1_s16(vector + at[1]));
    return vld1q_s16(vector + at[0]);
  }

  // Sum of the products of `count` blocks.
  template <int32_t kBlock>
  static int32_t DotBlocks(const int16_t* vector, const int32_t* offsets, const int8_t* values,
                           int32_t count) {
    int32x4_t low = vdupq_n_s32(0), high = low;
    const auto add = [&](int16x8_t x, int8x8_t narrow) {
      const int16x8_t w = vmovl_s8(narrow);
      low = vmlal_s16(low, vget_low_s16(x), vget_low_s16(w));
      high = vmlal_high_s16(high, x, w);
    };
    constexpr int32_t kBlocks = kBlock < 8 ? 8 / kBlock : 1;
    int32_t i = 0;
    for (; i + kBlocks <= count; i += kBlocks) {
      add(Gather8<kBlock>(vector, offsets + i), vld1_s8(values));
      values += 8;
      if (kBlock == 16) {
        add(vld1q_s16(vector + offsets[i] + 8), vld1_s8(values));
        values += 8;
      }
    }
    int32_t sum = vaddvq_s32(vaddq_s32(low, high));
    for (; i < count; ++i, values += kBlock) {
      const int16_t* x = vector + offsets[i];
      for (int32_t k = 0; k < kBlock; ++k) sum += x[k] * values[k];
    }
    return sum;
  }

  template <int32_t kParts>
  static void AddSingleLanes(const int8_t* lanes, const int32_t* offsets, const int8_t* weights,
                             int32_t count, bool has_lowest, int32_t* sums) {
    if (has_lowest) {
      AddSingles<kParts, true>(lanes, offsets, weights, count, sums);
    } else {
      AddSingles<kParts, false>(lanes, offsets, weights, count, sums);
    }
  }
};

struct SparseNeon : SparseNeonSteps<Neon> {
  using Balanced = BalancedNeon;
  static constexpr int32_t kGroup = 2;  // depths whose products sadalp adds
  // The Lanes form serves up to so many weights of a hundred that are left.
  static constexpr int32_t kLanesPercent = 55;
  static constexpr int32_t kGroupedLanesPercent = 75;

  // 8 rows of 8 depths, or of 8 groups, `from_pitch` numbers apart, to so many groups of 8 rows.
  template <int32_t kGroupSize>
  static void Transpose(const int8_t* from, ptrdiff_t from_pitch, int8_t* to, ptrdiff_t to_pitch) {
    if (kGroupSize == 1) return TransposeBytes(from, from_pitch, to, to_pitch);
    TransposeHalves(from, from_pitch, to, to_pitch);
  }

  // sums int32 [16 * kParts rows] of the products of a list, `count` a multiple of 4.
  template <int32_t kGroupSize, int32_t kParts>
  static void AddLanes(const int8_t* lanes, const int32_t* offsets, const int8_t* weights,
                       int32_t count, bool has_lowest, int32_t* sums) {
    if (kGroupSize == 1) {
      AddSingleLanes<kParts>(lanes, offsets, weights, count, has_lowest, sums);
    } else if (has_lowest) {
      AddPairs<kParts, true>(lanes, offsets, weights, count, sums);
    } else if (kParts == 4 && count > 0) {
      AddPairs64(lanes, offsets, weights, count, sums);
    } else {
      AddPairs<kParts, false>(lanes, offsets, weights, count, sums);
    }
  }
};

}  // namespace
}  // namespace edgeax
