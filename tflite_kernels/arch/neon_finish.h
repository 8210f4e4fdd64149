#pragma once  // arch/neon_finish.h: what follows the sums of output channels on 64-bit and 32-bit
              // Arm.

#include <arm_neon.h>
#include <string.h>

#include "tflite_kernels/arch/steps.h"

namespace edgeax {
namespace {

// What four channels' sums are added to and scaled by, in registers.
struct FactorsNeon {
  int32x4_t start, multiplier;
  int64x2_t left_low, left_high;  // shifts to the left, so negative

  // floor(sum * factor + 1/2), saturated to int32.
  int32x4_t Scaled(const int32_t* sums) const {
    const int32x4_t sum = vaddq_s32(vld1q_s32(sums), start);
    const int64x2_t low = vmull_s32(vget_low_s32(sum), vget_low_s32(multiplier));
    const int64x2_t high = vmull_high_s32(sum, multiplier);
    const int32x2_t low_words = vqmovn_s64(vrshlq_s64(low, left_low));
    return vqmovn_high_s64(low_words, vrshlq_s64(high, left_high));
  }
};

// The zero point and the limits of the codes.
struct LimitsNeon {
  explicit LimitsNeon(const Quantization& quantization)
      : zero(vdupq_n_s16(static_cast<int16_t>(quantization.output_zero_point))),
        low(vdup_n_s8(static_cast<int8_t>(quantization.output_min))),
        high(vdup_n_s8(static_cast<int8_t>(quantization.output_max))) {}

  // Every step saturates, so what is out of range stays at the right end of it.
  int8x8_t Codes(int32x4_t first, int32x4_t second) const {
    const int16x8_t halves = vqmovn_high_s32(vqmovn_s32(first), second);
    const int8x8_t bytes = vqmovn_s16(vqaddq_s16(halves, zero));
    return vmin_s8(vmax_s8(bytes, low), high);
  }

  int16x8_t zero;
  int8x8_t low, high;
};

// The factors of four channels, read straight from tensors: sums are to be added to
// bias - zero_point * weight_sums.
inline FactorsNeon LoadFactors(const int32_t* bias, const Requantization* factors,
                               const int32_t* weight_sums, int32_t zero_point) {
  static_assert(sizeof(Requantization) == 2 * sizeof(int32_t), "multiplier and shift");
  const int32x4x2_t pairs = vld2q_s32(&factors->multiplier);
  const int32x4_t left = vsubq_s32(pairs.val[1], vdupq_n_s32(31));
  const int32x4_t start = vmlsq_n_s32(vld1q_s32(bias), vld1q_s32(weight_sums), zero_point);
  return {start, pairs.val[0], vmovl_s32(vget_low_s32(left)), vmovl_high_s32(left)};
}

// What follows the sums of kLanes output channels, 4 or a multiple of 8: bias, scaling, zero point,
// clamp.
template <int32_t kLanes>
struct FinishNeon {
  // `offsets` are added to the bias; sums wrap around.
  FinishNeon(const int32_t* bias, const Requantization* factors, const int32_t* offsets,
             int32_t count, const Quantization& quantization)
      : factors(factors), quantization(quantization), count(count) {
    if (count == kLanes) {  // in vectors
      for (int32_t i = 0; i < kLanes; ++i) {
        start[i] = static_cast<int32_t>(static_cast<uint32_t>(bias[i]) +
                                        static_cast<uint32_t>(offsets[i]));
        multiplier[i] = factors[i].multiplier;
        left[i] = factors[i].shift - 31;
      }
      return;
    }
    for (int32_t i = 0; i < kLanes; ++i) {
      const Requantization factor = i < count ? factors[i] : Requantization{0, 0};
      const uint32_t offset = static_cast<uint32_t>(offsets[i]);
      start[i] = i < count ? static_cast<int32_t>(static_cast<uint32_t>(bias[i]) + offset) : 0;
      multiplier[i] = factor.multiplier;
      left[i] = factor.shift - 31;
    }
  }

  // sums int32 [kLanes]; writes `count` codes.
  void Store(const int32_t* sums, int8_t* output) const {
    if (quantization.rounding != Rounding::kSingle) return StoreOneByOne(sums, output);
    int8_t codes[kLanes < 16 ? 16 : kLanes];
    const LimitsNeon limits(quantization);
    for (int32_t i = 0; i < kLanes; i += 8) {
      // A tile of 4 columns fills half of a register.
      const int32x4_t first = FactorsOf(i).Scaled(sums + i);
      const int32x4_t second = i + 4 < kLanes ? FactorsOf(i + 4).Scaled(sums + i + 4) : first;
      vst1_s8(codes + i, limits.Codes(first, second));
    }
    if (count == kLanes) {
      memcpy(output, codes, kLanes);
    } else {
      CopyFirst(codes, count, output);
    }
  }

  // sums int32 [rows][kLanes]; the codes of the next row go `stride` further.
  __attribute__((noinline)) void StoreRows(const int32_t* sums, int32_t rows, int8_t* output,
                                           size_t stride) const {
    const bool fast = count == kLanes && quantization.rounding == Rounding::kSingle;
    int32_t r = 0;
    if (fast && kLanes == 8) {
      const FactorsNeon first = FactorsOf(0), second = FactorsOf(kLanes - 4);
      const LimitsNeon limits(quantization);
      for (; r < rows; ++r, sums += kLanes, output += stride) {
        vst1_s8(output, limits.Codes(first.Scaled(sums), second.Scaled(sums + 4)));
      }
    }
    if (fast && kLanes == 4) {
      const FactorsNeon four = FactorsOf(0);
      const LimitsNeon limits(quantization);
      for (; r + 2 <= rows; r += 2, sums += 2 * kLanes, output += 2 * stride) {
        const int8x8_t codes = limits.Codes(four.Scaled(sums), four.Scaled(sums + 4));
        int8_t both[8];
        vst1_s8(both, codes);
        memcpy(output, both, 4);
        memcpy(output + stride, both + 4, 4);
      }
    }
    for (; r < rows; ++r, sums += kLanes, output += stride) Store(sums, output);
  }

 private:
  void StoreOneByOne(const int32_t* sums, int8_t* output) const {
    for (int32_t i = 0; i < count; ++i) {
      const uint32_t sum = static_cast<uint32_t>(sums[i]) + static_cast<uint32_t>(start[i]);
      output[i] = OutputCode(sum, factors[i], quantization);
    }
  }

  // Of the channels i .. i + 3.
  FactorsNeon FactorsOf(int32_t i) const {
    return {vld1q_s32(start + i), vld1q_s32(multiplier + i), vld1q_s64(left + i),
            vld1q_s64(left + i + 2)};
  }

  int64_t left[kLanes];
  int32_t multiplier[kLanes];
  int32_t start[kLanes];
  const Requantization* factors;
  Quantization quantization;
  int32_t count;
};

// The codes of `count` sums, 8 at most, which are to be added to bias - zero_point * weight_sums.
inline void StoreEight(const int32_t* sums, int32_t count, const int32_t* bias,
                       const Requantization* factors, const int32_t* weight_sums,
                       const Quantization& quantization, int8_t* output) {
  constexpr int32_t kLanes = 8;
  if (count == kLanes && quantization.rounding == Rounding::kSingle) {
    const int32_t zero = quantization.input_zero_point;
    const FactorsNeon low = LoadFactors(bias, factors, weight_sums, zero);
    const FactorsNeon high = LoadFactors(bias + 4, factors + 4, weight_sums + 4, zero);
    const LimitsNeon limits(quantization);
    vst1_s8(output, limits.Codes(low.Scaled(sums), high.Scaled(sums + 4)));
    return;
  }
  int32_t offsets[kLanes] = {};
  for (int32_t i = 0; i < count; ++i) offsets[i] = ZeroPointOffset(weight_sums[i], quantization);
  FinishNeon<kLanes>(bias, factors, offsets, count, quantization).Store(sums, output);
}

template <int32_t kLanes>
void StoreRows(const FinishNeon<kLanes>& finish, const int32_t* sums, int32_t, int32_t rows,
               int8_t* output, size_t stride) {
  finish.StoreRows(sums, rows, output, stride);
}

}  // namespace
}  // namespace edgeax
