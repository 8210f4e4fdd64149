#pragma once  // arch/grouped_neon.h: the steps of arch/grouped_matmul.h on aarch64.

#include "tflite_kernels/arch/grouped_matmul.h"
#include "tflite_kernels/arch/neon.h"

namespace edgeax {
namespace {

struct GroupNeon {
  static constexpr int32_t kBlock = 32;

  // 32 weights from 4 * kBits bytes. Each of kParts parts has its table of nibbles.
  template <int32_t kBits, int32_t kParts>
  static void DecodeBlock(const uint8_t* bytes, const int8_t* const* tables, int8_t* to) {
    const int8_t *a = tables[0], *b = tables[kParts - 1];
    if (kBits == 4) {
      const uint8x16_t codes = vld1q_u8(bytes);
      const uint8x16_t low = vandq_u8(codes, vdupq_n_u8(15)), high = vshrq_n_u8(codes, 4);
      vst1q_s8(to, vqtbl1q_s8(vld1q_s8(a), vzip1q_u8(low, high)));
      return vst1q_s8(to + 16, vqtbl1q_s8(vld1q_s8(b), vzip2q_u8(low, high)));
    }
    const uint8x8_t codes = vld1_u8(bytes);
    const uint8x8_t low = vand_u8(codes, vdup_n_u8(15)), high = vshr_n_u8(codes, 4);
    // The codes of a nibble follow each other.
    const auto decode = [](const int8_t* table, uint8x8_t nibbles) {
      const int8x8_t first = vqtbl1_s8(vld1q_s8(table), nibbles);
      const int8x8_t second = vqtbl1_s8(vld1q_s8(table + 16), nibbles);
      return vcombine_s8(vzip1_s8(first, second), vzip2_s8(first, second));
    };
    vst1q_s8(to, decode(a, vzip1_u8(low, high)));
    vst1q_s8(to + 16, decode(b, vzip2_u8(low, high)));
  }
};

struct GroupedNeon : Neon, GroupNeon {
  static constexpr int32_t kDepthStep = kBlock;

  struct WeightSums {
    int32x4_t products, weights;
  };

  static void AddProducts(int8x16_t x, const int8_t* from, WeightSums* sums) {
    const int8x16_t w = vld1q_s8(from);
    sums->products = Add16Products<true>(sums->products, x, w);
    sums->weights = vpadalq_s16(sums->weights, vpaddlq_s8(w));
  }

  static int32_t Total(const WeightSums& sums, const Quantization& quantization) {
    const int32_t offset = ZeroPointOffset(vaddvq_s32(sums.weights), quantization);
    return static_cast<int32_t>(static_cast<uint32_t>(vaddvq_s32(sums.products)) +
                                static_cast<uint32_t>(offset));
  }

  // A row of `padded_depth` numbers, zero point taken off, times each of four rows of as many
  // weights beside each other.
  static void DotFour(const Left* row, const int8_t* weights, int32_t padded_depth,
                      const Quantization& quantization, int32_t* sums) {
    const int8_t *w0 = weights, *w1 = w0 + padded_depth;
    const int8_t *w2 = w1 + padded_depth, *w3 = w2 + padded_depth;
    const int32x4_t zero = vdupq_n_s32(0);
    WeightSums s0 = {zero, zero}, s1 = s0, s2 = s0, s3 = s0;
    for (int32_t k = 0; k < padded_depth; k += 16) {
      const int8x16_t x = vld1q_s8(row + k);
      AddProducts(x, w0 + k, &s0);
      AddProducts(x, w1 + k, &s1);
      AddProducts(x, w2 + k, &s2);
      AddProducts(x, w3 + k, &s3);
    }
    sums[0] = Total(s0, quantization);
    sums[1] = Total(s1, quantization);
    sums[2] = Total(s2, quantization);
    sums[3] = Total(s3, quantization);
  }
};

}  // namespace
}  // namespace edgeax
