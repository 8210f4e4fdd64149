#pragma once  // micro/add_steps.h: sums one by one, on every target.

#include "tflite_kernels/micro/add.h"

namespace edgeax {
namespace micro {
namespace {

inline int32_t SumOf(const AddArgs& args, int32_t a, int32_t b) {
  const int32_t shifted = (b - args.b_zero_point) * (1 << args.b_shift);
  const int32_t sum = (a - args.a_zero_point) * args.a_weight +
                      args.b_weight * RequantizeDouble(shifted, args.b_factor);
  return Clamped(RequantizeDouble(sum, args.output_factor) + args.output_zero_point, args.clamp);
}

inline int32_t SumOf(const WeightedAddArgs& args, int32_t a, int32_t b) {
  const int32_t sum = args.bias + a * args.a_weight + b * args.b_weight;
  return Clamped((sum >> args.shift) + args.output_zero_point, args.clamp);
}

// Operands of which one element serves all outputs have a step of 0, else of 1.
template <typename Args, typename Code>
__attribute__((noinline)) void AddSteps(const Args& args, int32_t count, const Code* a,
                                        int32_t a_step, const Code* b, int32_t b_step,
                                        Code* output) {
  for (int32_t i = 0; i < count; ++i) {
    output[i] = static_cast<Code>(SumOf(args, *a, *b));
    a += a_step;
    b += b_step;
  }
}

}  // namespace
}  // namespace micro
}  // namespace edgeax
