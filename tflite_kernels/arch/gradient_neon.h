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
  // Numbers that compare equal to a limit, or cannot be compared, stay as they are.
  static Lanes Clamp(Lanes lanes, const FloatLimits& limits) {
    const float32x4_t low = vdupq_n_f32(limits.low), high = vdupq_n_f32(limits.high);
    const auto clamped = [&](float32x4_t four) {
      const float32x4_t above = vbslq_f32(vcltq_f32(four, low), low, four);
      return vbslq_f32(vcgtq_f32(above, high), high, above);
    };
    return {clamped(lanes.a), clamped(lanes.b), clamped(lanes.c), clamped(lanes.d)};
  }
};

}  // namespace
}  // namespace edgeax
