#pragma once  // micro/packed_depthwise_conv2d.h: depthwise convolution with weights in codes.

#include "tflite_kernels/micro/depthwise_conv2d.h"

namespace edgeax {
namespace micro {

// The codes of the output channels of kDepthwiseBlock input channels lie together, a row of them
// per position of the window, the first one in the lowest bits of a byte; the next block begins on
// a byte of its own.
struct PackedDepthwiseConv2DArgs {
  DepthwiseConv2DArgs layer;  // without weights
  int32_t bits;               // of a code: 4, 2 or 1
  const int8_t* codebook;     // 2 to the power of `bits` weights
  const uint8_t* codes;
};

// Scratch: that of DepthwiseConv2D, and behind it the weights of a block, filled up to whole bytes
// of codes.
template <Rounding kRounding>
void PackedDepthwiseConv2D(const PackedDepthwiseConv2DArgs& args, const Rows& rows,
                           const int8_t* input, int8_t* output, void* scratch);
void PackedDepthwiseConv2D(const PackedDepthwiseConv2DArgs& args, const Rows& rows,
                           const int16_t* input, int16_t* output, void* scratch);

}  // namespace micro
}  // namespace edgeax
