#pragma once  // micro/add_dsp.h: sums of two runs of codes with the DSP instructions of Arm.

#include "tflite_kernels/micro/add_steps.h"
#include "tflite_kernels/micro/words_dsp.h"

namespace edgeax {
namespace micro {
namespace {

// value * 2**-shift, halves away from zero; `half` is 2**(shift - 1), `sign_bits` 31, or 0 for both
// where the shift is 0.
struct RoundingShift {
  int32_t half, shift;
};

template <typename Code>
void AddRun(const AddArgs& args, int32_t count, const Code* a, const Code* b, Code* output) {
  if (args.b_factor.shift >= 0 || args.output_factor.shift >= 0 || args.output_factor.shift < -22) {
    AddSteps(args, count, a, 1, b, 1, output);
    return;
  }
  const int32_t b_right = -args.b_factor.shift;
  const int32_t b_half = 1 << (b_right - 1);
  const int32_t right = -args.output_factor.shift;
  const int32_t addend = (1 << (right - 1)) + args.output_zero_point * (1 << right);
  const int32_t b_left = args.b_shift + 1;
  for (int32_t i = 0; i < count; ++i) {
    const int32_t b_doubled = (b[i] - args.b_zero_point) * (1 << b_left);
    const int32_t b_high = MultiplyHighRounded(b_doubled, args.b_factor.multiplier);
    const int32_t b_scaled = (b_high + b_half + (b_high >> 31)) >> b_right;
    const int32_t sum = (a[i] - args.a_zero_point) * args.a_weight + args.b_weight * b_scaled;
    const int32_t high = MultiplyHighRounded(2 * sum, args.output_factor.multiplier);
    output[i] = static_cast<Code>(Clamped((high + addend + (high >> 31)) >> right, args.clamp));
  }
}

template <typename Code>
void AddRun(const WeightedAddArgs& args, int32_t count, const Code* a, const Code* b,
            Code* output) {
  AddSteps(args, count, a, 1, b, 1, output);
}

}  // namespace
}  // namespace micro
}  // namespace edgeax
