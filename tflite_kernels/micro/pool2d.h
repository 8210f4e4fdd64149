#pragma once  // micro/pool2d.h: pooling of generated programs.

#include "tflite_kernels/micro/types.h"

namespace edgeax {
namespace micro {

// Every window holds at least one pixel of the image; what lies outside does not count. Without
// padding, output and input may begin at the same address.
struct Pool2DArgs {
  int32_t batch, height, width, channels;
  int32_t output_height, output_width;
  int32_t kernel_height, kernel_width;
  int32_t stride_height, stride_width;
  int32_t pad_top, pad_left;
  Clamp clamp;
};

// Averages are rounded to nearest, halves away from code 0.
void AveragePool2D(const Pool2DArgs& args, const Rows& rows, const int8_t* input, int8_t* output);
void AveragePool2D(const Pool2DArgs& args, const Rows& rows, const int16_t* input, int16_t* output);
void MaxPool2D(const Pool2DArgs& args, const Rows& rows, const int8_t* input, int8_t* output);
void MaxPool2D(const Pool2DArgs& args, const Rows& rows, const int16_t* input, int16_t* output);

}  // namespace micro
}  // namespace edgeax
