#pragma once  // micro/reduce.h: sums and means over axes.

#include "tflite_kernels/micro/loops.h"
#include "tflite_kernels/micro/types.h"

namespace edgeax {
namespace micro {

// output = Clamped((bias + sum of the input over the loops of `reduced`) * factor +
// output_zero_point), for all of the loops of `kept`. `bias` is -input_zero_point times the number
// of summed elements.
struct ReduceArgs {
  Loops kept, reduced;
  int32_t bias;
  Requantization factor;
  int32_t output_zero_point;
  Clamp clamp;
};

template <Rounding kRounding>
void Reduce(const ReduceArgs& args, const int8_t* input, int8_t* output);
template <Rounding kRounding>
void Reduce(const ReduceArgs& args, const int16_t* input, int16_t* output);
// Means of 16 bits are rounded twice everywhere.
void Reduce(const ReduceArgs& args, const int16_t* input, int16_t* output);

}  // namespace micro
}  // namespace edgeax
