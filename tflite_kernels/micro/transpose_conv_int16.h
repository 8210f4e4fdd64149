#pragma once  // micro/transpose_conv_int16.h: TRANSPOSE_CONV of int16 codes.

#include "tflite_kernels/micro/convolution.h"

namespace edgeax {
namespace micro {

// Zero points are 0.
struct TransposeConvInt16Args {
  ConvolutionShape shape;  // of the operator; strides are of the output
  Clamp clamp;
  int32_t factor_step;  // 1: a factor per channel, 0: one for all
  Factors factors;
  const int64_t* bias;
  const int8_t* weights;  // [output channels, height, width, input channels]
};

// Rounded as TFLite rounds sums of 64 bits, see RequantizeInt16Double.
void TransposeConv(const TransposeConvInt16Args& args, const int16_t* input, int16_t* output);

}  // namespace micro
}  // namespace edgeax
