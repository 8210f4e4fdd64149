#pragma once  // arch/grouped_neon_dotprod.h: the steps of arch/grouped_matmul.h on aarch64 with the
              // dot product.

#include "tflite_kernels/arch/grouped_neon.h"
#include "tflite_kernels/arch/neon_dotprod.h"

namespace edgeax {
namespace {

struct GroupedNeonDotprod : NeonDotprod, GroupNeon {
  static constexpr int32_t kDepthStep = kBlock;

  // A row of `padded_depth` numbers, zero point taken off, times as many weights.
  EDGEAX_DOTPROD static int32_t DotDense(const Left* row, const int8_t* weights,
                                         int32_t padded_depth, const Quantization& quantization) {
    const int32x4_t zero = vdupq_n_s32(0);
    DotSums sums = {zero, zero};
    for (int32_t k = 0; k < padded_depth; k += 16) {
      Add16Products(row + k, vld1q_s8(weights + k), &sums);
    }
    return Total(sums, quantization);
  }
};

}  // namespace
}  // namespace edgeax
