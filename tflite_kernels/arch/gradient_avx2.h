#pragma once  // arch/gradient_avx2.h: gradients on AVX2 with FMA.

#include "tflite_kernels/arch/float_avx2.h"

namespace edgeax {
namespace {

struct GradientAvx2 : FloatAvx2 {
  static constexpr int32_t kGradientRows = 6, kGradientLanes = 1, kGradientTaps = 6;
  static constexpr int32_t kInputPixels = 6;

  static void Store(Lanes lanes, float* to) {
    _mm256_storeu_ps(to, lanes.low);
    _mm256_storeu_ps(to + 8, lanes.high);
  }
  static Lanes Add(Lanes a, Lanes b) {
    return {_mm256_add_ps(a.low, b.low), _mm256_add_ps(a.high, b.high)};
  }
};

}  // namespace
}  // namespace edgeax
