#pragma once  // micro/conv2d.h: CONV_2D of int8 codes.

#include "tflite_kernels/micro/convolution.h"

namespace edgeax {
namespace micro {

struct Conv2DArgs {
  ConvolutionShape shape;
  ConvolutionPlan plan;
  TilePlan tile;
  int32_t input_zero_point;
  Factors factors;
  const int32_t* bias;    // without what the zero point of the input adds
  const int8_t* weights;  // tiles of a group, then those of the next, see tile.h
};

// Scratch: see Convolve.
template <Rounding kRounding>
void Conv2D(const Conv2DArgs& args, const Rows& rows, const int8_t* input, int8_t* output,
            void* scratch);

}  // namespace micro
}  // namespace edgeax
