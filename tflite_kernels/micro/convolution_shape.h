#pragma once  // micro/convolution_shape.h: the shapes of convolutions and of what is like them.

#include "tflite_kernels/micro/types.h"

namespace edgeax {
namespace micro {

// Shapes of a convolution: `output` pixel (y, x) reads the input pixels
// (y * stride_height - pad_top + i * dilation_height, x * stride_width - pad_left + j *
// dilation_width); those outside the image count as the zero point.
struct ConvolutionShape {
  int32_t batches, input_height, input_width, input_channels;
  int32_t output_height, output_width, output_channels;
  int32_t kernel_height, kernel_width, stride_height, stride_width;
  int32_t dilation_height, dilation_width, pad_top, pad_left;
  int32_t groups;  // divides the channels of input and output
};

}  // namespace micro
}  // namespace edgeax
