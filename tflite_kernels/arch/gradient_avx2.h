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
  // Of two numbers that compare equal, or cannot be compared, these give the second one.
  static Lanes Clamp(Lanes lanes, const FloatLimits& limits) {
    const __m256 low = _mm256_set1_ps(limits.low), high = _mm256_set1_ps(limits.high);
    return {_mm256_min_ps(high, _mm256_max_ps(low, lanes.low)),
            _mm256_min_ps(high, _mm256_max_ps(low, lanes.high))};
  }
};

}  // namespace
}  // namespace edgeax
