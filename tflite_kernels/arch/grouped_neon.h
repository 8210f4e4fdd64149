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

  // A row of `padded_depth` numbers, zero point taken off, times as many weights.
  static int32_t DotDense(const Left* row, const int8_t* weights, int32_t padded_depth,
                          const Quantization& quantization) {
    int32x4_t products = vdupq_n_s32(0), sums = products;
    for (int32_t k = 0; k < padded_depth; k += 16) {
      const int8x16_t w = vld1q_s8(weights + k);
      products = Add16Products<true>(products, vld1q_s8(row + k), w);
      sums = vpadalq_s16(sums, vpaddlq_s8(w));
    }
    const uint32_t offset = static_cast<uint32_t>(ZeroPointOffset(vaddvq_s32(sums), quantization));
    return static_cast<int32_t>(static_cast<uint32_t>(vaddvq_s32(products)) + offset);
  }
};

}  // namespace
}  // namespace edgeax
