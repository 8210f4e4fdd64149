#pragma once  // micro/depthwise_sweep.h: sums over a plane of one channel, on every target.

#include "tflite_kernels/micro/depthwise_conv2d.h"

namespace edgeax {
namespace micro {
namespace {

// Input channels `channel` to `channel + planes` of one image.
template <typename Code>
struct Block {
  const Code* input;  // of row `input_begin`
  Code* output;       // of row `begin`
  Code* scratch;
  int32_t channel, planes;
  const int8_t* weights;  // of the first output channel
};

// What a sweep over the rows of one plane needs to know of its output channel. Outputs of
// neighboring columns lie `channels` apart.
template <typename Code>
struct Sweep {
  const Code* plane;
  Code* output;
  int32_t rows;
  int32_t channels;
  const int8_t* weights;
  int32_t bias;
  Requantization factor;
  int32_t row_pitch, column_pitch;  // of the plane
};

// The stride of a window for which there are special sweeps, of 3 x 3 weights; else 0.
inline int32_t Stride3x3Of(const DepthwiseConv2DArgs& args) {
  const bool is_3x3 = args.kernel_height == 3 && args.kernel_width == 3 &&
                      args.dilation_height == 1 && args.dilation_width == 1 &&
                      args.output_width <= INT16_MAX;
  const int32_t stride = args.stride_width;
  return is_3x3 && args.stride_height == stride && stride <= 2 ? stride : 0;
}

template <Rounding kRounding>
int32_t CodeOf(uint32_t sum, Requantization factor) {
  return Requantize(static_cast<int32_t>(sum), factor, kRounding);
}

// Codes far outside of int16 come as the ends of int32.
template <Rounding kRounding>
int32_t CodeOf(uint64_t sum, Requantization factor) {
  return SaturateToInt32(RequantizeInt16Double(static_cast<int64_t>(sum), factor));
}

// Any window. Sums wrap, which the unsigned type `Sum` may.
template <Rounding kRounding, typename Sum, typename Code>
__attribute__((noinline)) void SweepAny(const DepthwiseConv2DArgs& args, const Sweep<Code>& sweep) {
  const int32_t row_step = args.dilation_height * sweep.row_pitch;
  const int32_t column_step = args.dilation_width * sweep.column_pitch;
  const int32_t columns = args.output_width;
  const int32_t step = args.weight_step;
  Code* output = sweep.output;
  for (int32_t y = 0; y < sweep.rows; ++y) {
    const Code* row = sweep.plane + y * args.stride_height * sweep.row_pitch;
    for (int32_t x = 0; x < columns; ++x) {
      const int8_t* weight = sweep.weights;
      Sum sum = static_cast<Sum>(sweep.bias);
      const Code* line = row;
      for (int32_t ky = 0; ky < args.kernel_height; ++ky) {
        const Code* tap = line;
        for (int32_t kx = 0; kx < args.kernel_width; ++kx) {
          sum += static_cast<Sum>(int32_t{*tap} * *weight);
          tap += column_step;
          weight += step;
        }
        line += row_step;
      }
      const int64_t code = int64_t{CodeOf<kRounding>(sum, sweep.factor)} + args.output_zero_point;
      *output = static_cast<Code>(Clamped(SaturateToInt32(code), args.clamp));
      output += sweep.channels;
      row += args.stride_width * sweep.column_pitch;
    }
  }
}

}  // namespace
}  // namespace micro
}  // namespace edgeax
