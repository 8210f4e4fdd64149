#pragma once  // arch/gradient_avx512.h: gradients on AVX-512.

#include "tflite_kernels/arch/float_avx512.h"

namespace edgeax {
namespace {

struct GradientAvx512 : FloatAvx512 {
  static constexpr int32_t kGradientRows = 14, kGradientLanes = 2, kGradientTaps = 9;
  static constexpr int32_t kInputPixels = 14;

  static void Store(Lanes lanes, float* to) { _mm512_storeu_ps(to, lanes.all); }
  static Lanes Add(Lanes a, Lanes b) { return {_mm512_add_ps(a.all, b.all)}; }
  // Of two numbers that compare equal, or cannot be compared, these give the second one.
  static Lanes Clamp(Lanes lanes, const FloatLimits& limits) {
    const __m512 above = _mm512_max_ps(_mm512_set1_ps(limits.low), lanes.all);
    return {_mm512_min_ps(_mm512_set1_ps(limits.high), above)};
  }
};

}  // namespace
}  // namespace edgeax
