#pragma once  // micro/depthwise_conv2d.h: depthwise convolution of generated programs.

#include "tflite_kernels/micro/types.h"

namespace edgeax {
namespace micro {

// The kernel takes kDepthwiseBlock input channels at a time and copies the rows that some output
// rows need into planes, one per channel: `plane_rows` rows of `plane_pitch` elements, padding
// written out as the zero point. It writes output rows only when all input rows that lie at or
// before them have been copied, so that with a depth multiplier of 1 output and input may begin at
// the same address.
constexpr int32_t kDepthwiseBlock = 4;
// Elements behind the last plane that are read, but change nothing.
constexpr int32_t kDepthwiseSlack = 16;

// Output channel i * depth_multiplier + j reads input channel i. `plane_rows` is at least
// (group_rows - 1) * stride_height + (kernel_height - 1) * dilation_height + 1, `plane_pitch` at
// least pad_left + width and the same of output_width and the horizontal window. The bias of int8
// activations has -input_zero_point * (sum of the channel's weights) in it. `weights` holds a row
// of output channels per position of the window, `weight_step` weights after the one before.
struct DepthwiseConv2DArgs {
  int32_t batch, height, width, channels;
  int32_t depth_multiplier;
  int32_t output_height, output_width;
  int32_t kernel_height, kernel_width;
  int32_t stride_height, stride_width;
  int32_t dilation_height, dilation_width;
  int32_t pad_top, pad_left;
  int32_t input_zero_point, output_zero_point;
  Clamp clamp;
  int32_t group_rows;  // output rows between two copies
  int32_t plane_rows, plane_pitch;
  const int8_t* weights;
  int32_t weight_step;
  const int32_t* bias;
  Factors factors;
};

// Scratch: kDepthwiseBlock * plane_rows * plane_pitch + kDepthwiseSlack elements.
template <Rounding kRounding>
void DepthwiseConv2D(const DepthwiseConv2DArgs& args, const Rows& rows, const int8_t* input,
                     int8_t* output, void* scratch);

// Sums of 64 bits; rounded as TFLite rounds those, see RequantizeInt16Double.
void DepthwiseConv2D(const DepthwiseConv2DArgs& args, const Rows& rows, const int16_t* input,
                     int16_t* output, void* scratch);

// The same for the kDepthwiseBlock input channels from `channel` on of one image, whose output
// channels have the weights `weights`, `args.weight_step` apart, after FillDepthwise.
template <Rounding kRounding>
void DepthwiseBlock(const DepthwiseConv2DArgs& args, const Rows& rows, int32_t channel,
                    const int8_t* weights, const int8_t* input, int8_t* output, void* scratch);
template <Rounding kRounding>
void DepthwiseBlock(const DepthwiseConv2DArgs& args, const Rows& rows, int32_t channel,
                    const int8_t* weights, const int16_t* input, int16_t* output, void* scratch);

void FillDepthwise(const DepthwiseConv2DArgs& args, int8_t* scratch);
void FillDepthwise(const DepthwiseConv2DArgs& args, int16_t* scratch);

}  // namespace micro
}  // namespace edgeax
