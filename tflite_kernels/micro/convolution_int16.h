#pragma once  // micro/convolution_int16.h: the pixels of convolutions of int16 codes.

#include "tflite_kernels/micro/convolution.h"
#include "tflite_kernels/micro/dot_int16.h"

namespace edgeax {
namespace micro {

// A place of the kernel over an image and a group.
struct PatchInt16 {
  const int16_t* image;  // row `input_begin`, first channel of the group
  int32_t input_begin;
  int32_t y, x;  // of the first tap
};

// Taps [begin, end) of a row of the kernel that lie in the image.
static inline void ColumnsInside(const ConvolutionShape& shape, int32_t x, int32_t* begin,
                                 int32_t* end) {
  const int32_t step = shape.dilation_width;
  *begin = x < 0 ? (step - 1 - x) / step : 0;
  const int32_t room = shape.input_width - 1 - x;
  *end = room < 0 ? 0 : room / step + 1;
  if (*end > shape.kernel_width) *end = shape.kernel_width;
}

// Sums of products have magnitudes below 2**40: 65536 * 128 * 32768.
static inline int64_t SumOfPatch(const ConvolutionShape& shape, const PatchInt16& patch,
                                 const int8_t* weights) {
  const int32_t depth = shape.input_channels / shape.groups;
  const bool is_run = shape.groups == 1 && shape.dilation_width == 1;
  const int32_t step = shape.dilation_width * shape.input_channels;
  int32_t begin, end;
  ColumnsInside(shape, patch.x, &begin, &end);
  int64_t sum = 0;
  int32_t y = patch.y;
  for (int32_t i = 0; i < shape.kernel_height; ++i, y += shape.dilation_height) {
    const int8_t* of_tap = weights + (i * shape.kernel_width + begin) * depth;
    if (y < 0 || y >= shape.input_height || begin >= end) continue;
    const int32_t row = (y - patch.input_begin) * shape.input_width;
    const int32_t x = patch.x + begin * shape.dilation_width;
    const int16_t* codes = patch.image + (row + x) * shape.input_channels;
    if (is_run) {
      sum = DotInt16(codes, of_tap, (end - begin) * depth, sum);
      continue;
    }
    for (int32_t j = begin; j < end; ++j, codes += step, of_tap += depth) {
      sum = DotInt16(codes, of_tap, depth, sum);
    }
  }
  return sum;
}

// The code of a sum. `args` are those of a kernel: a factor, a bias and a clamp are what counts.
template <Rounding kRounding, typename Args>
static inline int16_t CodeOfSum(const Args& args, int32_t channel, int64_t sum) {
  const Requantization factor = FactorOf(args.factors, channel * args.factor_step);
  const int64_t scaled = RequantizeInt16(args.bias[channel] + sum, factor, kRounding);
  return static_cast<int16_t>(Clamped(SaturateToInt32(scaled), args.clamp));
}

// Calls `compute(patch, output)` for each output pixel of an image, with the first channel of its
// output.
template <typename Compute>
static inline void ForPixels(const ConvolutionShape& shape, const Rows& rows, const int16_t* image,
                             int16_t* output, const Compute& compute) {
  for (int32_t y = rows.begin; y < rows.end; ++y) {
    const int32_t first_y = y * shape.stride_height - shape.pad_top;
    int32_t first_x = -shape.pad_left;
    for (int32_t x = 0; x < shape.output_width; ++x, first_x += shape.stride_width) {
      compute(PatchInt16{image, rows.input_begin, first_y, first_x}, output);
      output += shape.output_channels;
    }
  }
}

// Elements of an image.
static inline int32_t InputSize(const ConvolutionShape& shape) {
  return shape.input_height * shape.input_width * shape.input_channels;
}

// Weights of a channel.
static inline int32_t ChannelSize(const ConvolutionShape& shape) {
  return shape.kernel_height * shape.kernel_width * (shape.input_channels / shape.groups);
}

}  // namespace micro
}  // namespace edgeax
