#pragma once  // micro/float_product.h: matrix product of floats with packed weights.

#include "tflite_kernels/core/float_fully_connected.h"

namespace edgeax {
namespace micro {

// The numbers are those of core/float_fully_connected.h, bit for bit.
struct FloatProductArgs {
  int32_t rows, depth, outputs;
  int32_t bits;   // of a code: 8, 4, 2 or 1
  int32_t group;  // weights of a row that share a scale, a multiple of 8, or all of them
  float low, high;
  const float* bias;
  const float* scale;  // of each group of an output, then of those of the next
  const float* codebook;
  const uint8_t* weights;  // codes of an output, first one in the lowest bits, its last byte filled
};

void FloatProduct(const FloatProductArgs& args, const float* input, float* output);

}  // namespace micro
}  // namespace edgeax
