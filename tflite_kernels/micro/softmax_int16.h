#pragma once  // micro/softmax_int16.h: softmax of int16 codes by tables.

#include "tflite_kernels/micro/types.h"

namespace edgeax {
namespace micro {

// Tables have 513 fractions, codes of 2**-15, with straight lines between them.
struct SoftmaxInt16Args {
  int32_t rows, depth;
  Requantization factor;      // differences of codes to steps of 10 / 65535
  const int16_t* exp;         // from exp(-10) to exp(0)
  const int16_t* reciprocal;  // 1 / (1 + x), x from 0 to 1
};

// Along the last axis, of `depth` elements. Probabilities as fractions; the integers of TFLite and
// TFLM. The output may be the memory of the input.
void SoftmaxInt16(const SoftmaxInt16Args& args, const int16_t* input, int16_t* output);

}  // namespace micro
}  // namespace edgeax
