#pragma once  // arch/grouped_neon.h: the steps of arch/grouped_matmul.h on aarch64.

#include "tflite_kernels/arch/grouped_matmul.h"
#include "tflite_kernels/arch/neon.h"

namespace edgeax {
namespace {

struct GroupNeon {
  // The nibbles of 8 bytes in their order.
  static uint8x16_t Nibbles(uint8x8_t bytes) {
    const uint8x8_t low = vand_u8(bytes, vdup_n_u8(15)), high = vshr_n_u8(bytes, 4);
    return vcombine_u8(vzip1_u8(low, high), vzip2_u8(low, high));
  }

  // 16 weights from 2 * kBits bytes.
  template <int32_t kBits>
  static void Decode16(const uint8_t* bytes, const int8_t* table, int8_t* to) {
    if (kBits == 4) return vst1q_s8(to, vqtbl1q_s8(vld1q_s8(table), Nibbles(vld1_u8(bytes))));
    const uint8x16_t nibbles = Nibbles(vcreate_u8(LoadNumber<uint32_t>(bytes)));
    vst1q_s8(to, vzip1q_s8(vqtbl1q_s8(vld1q_s8(table), nibbles),
                           vqtbl1q_s8(vld1q_s8(table + 16), nibbles)));
  }

  // 32 weights from 4 * kBits bytes.
  template <int32_t kBits>
  static void Decode32(const uint8_t* bytes, const int8_t* table, int8_t* to) {
    const int8x16_t first = vld1q_s8(table);
    if (kBits == 4) {
      const uint8x16_t codes = vld1q_u8(bytes);
      const uint8x16_t low = vandq_u8(codes, vdupq_n_u8(15)), high = vshrq_n_u8(codes, 4);
      vst1q_s8(to, vqtbl1q_s8(first, vzip1q_u8(low, high)));
      return vst1q_s8(to + 16, vqtbl1q_s8(first, vzip2q_u8(low, high)));
    }
    const uint8x16_t nibbles = Nibbles(vld1_u8(bytes));
    const int8x16_t even = vqtbl1q_s8(first, nibbles);
    const int8x16_t odd = vqtbl1q_s8(vld1q_s8(table + 16), nibbles);
    vst1q_s8(to, vzip1q_s8(even, odd));
    vst1q_s8(to + 16, vzip2q_s8(even, odd));
  }
};

struct GroupedNeon : Neon, GroupNeon {
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
