#pragma once  // arch/grouped_neon_dotprod.h: the steps of arch/grouped_matmul.h on aarch64 with the
              // dot product.

#include "tflite_kernels/arch/grouped_neon.h"
#include "tflite_kernels/arch/neon_dotprod.h"

namespace edgeax {
namespace {

struct GroupedNeonDotprod : NeonDotprod, GroupNeon {
  static constexpr int32_t kDepthStep = kBlock;

  // A row of `padded_depth` numbers, zero point taken off, times each of four rows of as many
  // weights beside each other.
  EDGEAX_DOTPROD static void DotFour(const Left* row, const int8_t* weights, int32_t padded_depth,
                                     const Quantization& quantization, int32_t* sums) {
    const int8_t *w0 = weights, *w1 = w0 + padded_depth;
    const int8_t *w2 = w1 + padded_depth, *w3 = w2 + padded_depth;
    const int32x4_t zero = vdupq_n_s32(0);
    DotSums s0 = {zero, zero}, s1 = s0, s2 = s0, s3 = s0;
    for (int32_t k = 0; k < padded_depth; k += 16) {
      Add16Products(row + k, vld1q_s8(w0 + k), &s0);
      Add16Products(row + k, vld1q_s8(w1 + k), &s1);
      Add16Products(row + k, vld1q_s8(w2 + k), &s2);
      Add16Products(row + k, vld1q_s8(w3 + k), &s3);
    }
    sums[0] = Total(s0, quantization);
    sums[1] = Total(s1, quantization);
    sums[2] = Total(s2, quantization);
    sums[3] = Total(s3, quantization);
  }
};

}  // namespace
}  // namespace edgeax
