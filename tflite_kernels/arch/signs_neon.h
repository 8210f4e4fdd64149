#pragma once  // arch/signs_neon.h: predicted signs on aarch64.

#include "tflite_kernels/arch/neon_transpose.h"
#include "tflite_kernels/arch/predicted_signs.h"

namespace edgeax {
namespace {

struct SignsNeon {
  static constexpr int32_t kStep = 16, kBias = 0, kTileRows = 4, kTileChannels = 2;
  static constexpr bool kFearsLeast = true, kIsWide = true, kHasPairs = false;
  // Sums of two products, of 8 and 128 at most, that 16 bits hold; and of int8 and int16 in 32.
  static constexpr int32_t kStepsOf16 = 15, kStepsOf32 = 64;

  static void Turn(const int8_t* const* pixels, int32_t channel, int8_t* to, size_t plane) {
    TransposeBytes([&](int32_t i) { return vld1_s8(pixels[i] + channel); }, to,
                   static_cast<ptrdiff_t>(plane));
  }
  static void Turn(const int16_t* const* pixels, int32_t channel, int16_t* to, size_t plane) {
    TransposeHalves([&](int32_t i) { return vld1q_s16(pixels[i] + channel); },
                    reinterpret_cast<int8_t*>(to), static_cast<ptrdiff_t>(plane * sizeof(int16_t)));
  }

  template <int32_t kRows, int32_t kChannels, Width width>
  static void Dot(const int8_t* const* codes, const int8_t* const* gradients, const int32_t* blocks,
                  int32_t count, int32_t* sums) {
    constexpr bool is_narrow = width == Width::kNarrow;
    constexpr int32_t kSteps = is_narrow ? kStepsOf16 : 1;
    Several<int32x4_t, kRows * kChannels> totals;
    Repeat<kRows * kChannels>([&](auto i) { At<i.value>(totals) = vdupq_n_s32(0); });
    for (int32_t first = 0; first < count; first += kSteps) {
      const int32_t end = count - first < kSteps ? count : first + kSteps;
      Several<int16x8_t, kRows * kChannels> several;
      if constexpr (is_narrow) {
        Repeat<kRows * kChannels>([&](auto i) { At<i.value>(several) = vdupq_n_s16(0); });
      }
      for (int32_t step = first; step < end; ++step) {
        const size_t place = size_t(blocks == nullptr ? step : blocks[step]) * kStep;
        Several<int8x16_t, kChannels> bytes;
        Repeat<kChannels>(
            [&](auto c) { At<c.value>(bytes) = vld1q_s8(gradients[c.value] + place); });
        Repeat<kRows>([&](auto r) {
          const int8x16_t row = vld1q_s8(codes[r.value] + place);
          Repeat<kChannels>([&](auto c) {
            int16x8_t& sum = At<r.value * kChannels + c.value>(several);
            const int8x16_t byte = At<c.value>(bytes);
            int32x4_t& total = At<r.value * kChannels + c.value>(totals);
            if constexpr (is_narrow) {
              sum = vmlal_s8(sum, vget_low_s8(row), vget_low_s8(byte));
              sum = vmlal_high_s8(sum, row, byte);
            } else if constexpr (width == Width::kUsual) {  // 16 bits hold two products
              sum = vmull_s8(vget_low_s8(row), vget_low_s8(byte));
              total = vpadalq_s16(total, vmlal_high_s8(sum, row, byte));
            } else {
              total = vpadalq_s16(total, vmull_s8(vget_low_s8(row), vget_low_s8(byte)));
              total = vpadalq_s16(total, vmull_high_s8(row, byte));
            }
          });
        });
      }
      if constexpr (is_narrow) {
        Repeat<kRows * kChannels>([&](auto i) {
          At<i.value>(totals) = vpadalq_s16(At<i.value>(totals), At<i.value>(several));
        });
      }
    }
    Repeat<kRows * kChannels>([&](auto i) { sums[i.value] = vaddvq_s32(At<i.value>(totals)); });
  }

  template <int32_t kChannels>
  static void Multiply(const int8_t* codes, const int16_t* const* gradients, int32_t steps,
                       int64_t* sums) {
    for (int32_t first = 0; first < steps; first += kStepsOf32) {
      const int32_t end = steps - first < kStepsOf32 ? steps : first + kStepsOf32;
      Several<int32x4_t, kChannels> several;
      Repeat<kChannels>([&](auto c) { At<c.value>(several) = vdupq_n_s32(0); });
      for (int32_t step = first; step < end; ++step) {
        const size_t place = size_t(step) * 16;
        const int8x16_t row = vld1q_s8(codes + place);
        const int16x8_t low = vmovl_s8(vget_low_s8(row)), high = vmovl_high_s8(row);
        Repeat<kChannels>([&](auto c) {
          int32x4_t& sum = At<c.value>(several);
          const int16x8_t a = vld1q_s16(gradients[c.value] + place);
          const int16x8_t b = vld1q_s16(gradients[c.value] + place + 8);
          sum = vmlal_s16(sum, vget_low_s16(low), vget_low_s16(a));
          sum = vmlal_high_s16(sum, low, a);
          sum = vmlal_s16(sum, vget_low_s16(high), vget_low_s16(b));
          sum = vmlal_high_s16(sum, high, b);
        });
      }
      Repeat<kChannels>([&](auto c) { sums[c.value] += vaddlvq_s32(At<c.value>(several)); });
    }
  }
};

}  // namespace
}  // namespace edgeax
