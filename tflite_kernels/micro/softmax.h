#pragma once  // micro/softmax.h: softmax in fixed-point numbers.

#include "tflite_kernels/micro/types.h"

namespace edgeax {
namespace micro {

// Along the last axis, of `depth` elements. A difference of codes times `factor` (shift not
// negative) is that of the numbers, in 2**-26; below `least_difference` an exponential counts as 0.
struct SoftmaxArgs {
  int32_t rows, depth;
  Requantization factor;
  int32_t least_difference;
};

// Probabilities in 1/256 less 128, or in 1/65536 less 32768; the integers of TFLM.
void Softmax(const SoftmaxArgs& args, const int8_t* input, int8_t* output);
void Softmax(const SoftmaxArgs& args, const int8_t* input, int16_t* output);

}  // namespace micro
}  // namespace edgeax
