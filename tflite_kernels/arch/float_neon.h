#pragma once  // arch/float_neon.h: floats times packed weights on aarch64.

#include <arm_neon.h>
#include <string.h>

#include "tflite_kernels/arch/float_codebook.h"
#include "tflite_kernels/arch/float_matmul.h"

namespace edgeax {
namespace {

struct FloatNeon {
  struct Lanes {
    float32x4_t a, b, c, d;
  };
  static constexpr int32_t kRows = 4;
  static constexpr int32_t kOutputsOfRows = 1;

  static Lanes Broadcast(float value) {
    const float32x4_t four = vdupq_n_f32(value);
    return {four, four, four, four};
  }
  static Lanes Zero() { return Broadcast(0.0f); }
  static Lanes Load(const float* from) {
    return {vld1q_f32(from), vld1q_f32(from + 4), vld1q_f32(from + 8), vld1q_f32(from + 12)};
  }

  static Lanes MultiplyAdd(Lanes a, Lanes b, Lanes c) {
    return {vfmaq_f32(c.a, a.a, b.a), vfmaq_f32(c.b, a.b, b.b), vfmaq_f32(c.c, a.c, b.c),
            vfmaq_f32(c.d, a.d, b.d)};
  }

  static Lanes MultiplyAddFirst(Lanes a, Lanes b, Lanes c, int32_t count) {
    const Lanes sums = MultiplyAdd(a, b, c);
    const int32_t numbers[] = {0, 1, 2, 3};
    const auto choose = [&](float32x4_t then, float32x4_t otherwise, int32_t first) {
      const uint32x4_t is_first = vcltq_s32(vld1q_s32(numbers), vdupq_n_s32(count - first));
      return vbslq_f32(is_first, then, otherwise);
    };
    return {choose(sums.a, c.a, 0), choose(sums.b, c.b, 4), choose(sums.c, c.c, 8),
            choose(sums.d, c.d, 12)};
  }

  static float Sum(Lanes sums) {
    const float32x4_t four = vaddq_f32(vaddq_f32(sums.a, sums.c), vaddq_f32(sums.b, sums.d));
    const float32x2_t two = vadd_f32(vget_low_f32(four), vget_high_f32(four));
    return vget_lane_f32(two, 0) + vget_lane_f32(two, 1);
  }

  static uint8x16_t LoadBytes(const uint8_t* from) { return vld1q_u8(from); }
  static uint8x16_t LoadFirstBytes(const uint8_t* from, int32_t bytes) {
    uint8_t block[kBlockBytes] = {};
    memcpy(block, from, static_cast<size_t>(bytes));
    return vld1q_u8(block);
  }

  // Codes of 4, 2 or 1 bits. The table is by four bits at a time, of which the lowest are the code;
  // each of its four parts has one byte of the floats.
  template <int32_t kCodeBits>
  struct Table {
    static constexpr int32_t kBits = kCodeBits;
    using Block = uint8x16_t;

    explicit Table(const float* codebook) {
      uint8_t bytes[4][16];
      for (int32_t i = 0; i < 16; ++i) {
        uint8_t value[4];
        memcpy(value, codebook + (i & ((1 << kBits) - 1)), sizeof(value));
        for (int32_t j = 0; j < 4; ++j) bytes[j][i] = value[j];
      }
      first = vld1q_u8(bytes[0]);
      second = vld1q_u8(bytes[1]);
      third = vld1q_u8(bytes[2]);
      fourth = vld1q_u8(bytes[3]);
    }

    static Block BlockOf(uint8x16_t bytes) { return bytes; }

    template <int32_t kStep>
    Lanes Weights(Block block) const {
      uint8x16_t codes = block;
      if constexpr (kStep > 0) codes = vshrq_n_u8(block, kStep * kBits);
      if constexpr (8 - kStep * kBits > 4) codes = vandq_u8(codes, vdupq_n_u8(15));
      const uint8x16_t p = vqtbl1q_u8(first, codes), q = vqtbl1q_u8(second, codes);
      const uint8x16_t r = vqtbl1q_u8(third, codes), s = vqtbl1q_u8(fourth, codes);
      const uint16x8_t low = vreinterpretq_u16_u8(vzip1q_u8(p, q));
      const uint16x8_t low_of_others = vreinterpretq_u16_u8(vzip2q_u8(p, q));
      const uint16x8_t high = vreinterpretq_u16_u8(vzip1q_u8(r, s));
      const uint16x8_t high_of_others = vreinterpretq_u16_u8(vzip2q_u8(r, s));
      return {vreinterpretq_f32_u16(vzip1q_u16(low, high)),
              vreinterpretq_f32_u16(vzip2q_u16(low, high)),
              vreinterpretq_f32_u16(vzip1q_u16(low_of_others, high_of_others)),
              vreinterpretq_f32_u16(vzip2q_u16(low_of_others, high_of_others))};
    }

    uint8x16_t first, second, third, fourth;
  };

  // Codes that are whole numbers of 8 bits.
  struct Integers {
    static constexpr int32_t kBits = 8;
    using Block = int8x16_t;

    static Block BlockOf(uint8x16_t bytes) { return vreinterpretq_s8_u8(bytes); }

    template <int32_t>
    static Lanes Weights(Block block) {
      const int16x8_t low = vmovl_s8(vget_low_s8(block)), high = vmovl_high_s8(block);
      return {vcvtq_f32_s32(vmovl_s16(vget_low_s16(low))), vcvtq_f32_s32(vmovl_high_s16(low)),
              vcvtq_f32_s32(vmovl_s16(vget_low_s16(high))), vcvtq_f32_s32(vmovl_high_s16(high))};
    }
  };

  // Codes that are short floats, see ShortFloats.
  struct Halves {
    static constexpr int32_t kBits = 8;
    using Block = int8x16_t;

    explicit Halves(const ShortFloats& floats)
        : shift(vdupq_n_s16(static_cast<int16_t>(floats.exponent_bits - 6))),
          lift(vdupq_n_u16(floats.has_subnormals ? 0 : 1 << 10)) {}

    static Block BlockOf(uint8x16_t bytes) { return vreinterpretq_s8_u8(bytes); }

    template <int32_t>
    Lanes Weights(Block block) const {
      const float16x8_t low = HalvesOf(vmovl_s8(vget_low_s8(block)));
      const float16x8_t high = HalvesOf(vmovl_high_s8(block));
      return {vcvt_f32_f16(vget_low_f16(low)), vcvt_high_f32_f16(low),
              vcvt_f32_f16(vget_low_f16(high)), vcvt_high_f32_f16(high)};
    }

    float16x8_t HalvesOf(int16x8_t codes) const {
      const uint16x8_t bits = vreinterpretq_u16_s16(codes);
      const uint16x8_t top = vshlq_n_u16(bits, 9);
      const uint16x8_t lifted =
          vaddq_u16(vshlq_u16(top, shift), vandq_u16(vtstq_u16(top, top), lift));
      return vreinterpretq_f16_u16(vbslq_u16(vdupq_n_u16(0x8000), bits, lifted));
    }

    int16x8_t shift;
    uint16x8_t lift;
  };

  // Codes of 8 bits that stand for any floats.
  struct Lookup {
    static constexpr int32_t kBits = 8;
    struct Block {
      uint8_t codes[kBlockBytes];
    };

    explicit Lookup(const float* codebook) : codebook(codebook) {}

    static Block BlockOf(uint8x16_t bytes) {
      Block block;
      vst1q_u8(block.codes, bytes);
      return block;
    }

    template <int32_t>
    Lanes Weights(const Block& block) const {
      float values[kFloatLanes];
      for (int32_t i = 0; i < kFloatLanes; ++i) values[i] = codebook[block.codes[i]];
      return FloatNeon::Load(values);
    }

    const float* codebook;
  };
};

}  // namespace
}  // namespace edgeax
