#pragma once  // micro/conv2d_int16.h: CONV_2D and FULLY_CONNECTED of int16 codes.

#include "tflite_kernels/micro/convolution.h"

namespace edgeax {
namespace micro {

// Zero points are 0.
struct Conv2DInt16Args {
  ConvolutionShape shape;
  Clamp clamp;
  int32_t factor_step;  // 1: a factor per channel, 0: one for all
  Factors factors;
  const int64_t* bias;
  const int8_t* weights;  // [output channels, height, width, input channels of a group]
};

template <Rounding kRounding>
void Conv2D(const Conv2DInt16Args& args, const Rows& rows, const int16_t* input, int16_t* output);

}  // namespace micro
}  // namespace edgeax
