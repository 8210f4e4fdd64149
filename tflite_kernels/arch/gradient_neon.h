#pragma once  // arch/gradient_neon.h: gradients on aarch64.

#include "tflite_kernels/arch/float_neon.h"

namespace edgeax {
namespace {

struct GradientNeon : FloatNeon {
  static constexpr int32_t kGradientRows = 6, kGradientLanes = 1, kGradientTaps = 6;
  static constexpr int32_t kInputPixels = 6;

  static void Store(Lanes lanes, float* to) {
    vst1q_f32(to, lanes.a);
    vst1q_f32(to + 4, lanes.b);
    vst1q_f32(to + 8, lanes.c);
    vst1q_f32(to + 12, lanes.d);
  }
  static Lanes Add(Lanes a, Lanes b) {
    return {vaddq_f32(a.a, b.a), vaddq_f32(a.b, b.b), vaddq_f32(a.c, b.c), vaddq_f32(a.d, b.d)};
  }
};

}  // namespace
}  // namespace edgeax
