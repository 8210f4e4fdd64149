#pragma once  // micro/masked_conv2d_int16.h: convolutions of int16 codes that skip zero weights.

#include "tflite_kernels/micro/convolution.h"

namespace edgeax {
namespace micro {

// The weights of a channel are cut into pieces of 1, 4 or 16, the last one filled up with zeros. A
// bit says of each whether it is stored, the first in the lowest bit of a byte; others are zeros. A
// channel begins on a byte of its own. Zero points are 0.
struct MaskedConv2DInt16Args {
  ConvolutionShape shape;
  Clamp clamp;
  int32_t factor_step;  // 1: a factor per channel, 0: one for all
  Factors factors;
  const int32_t* bias;
  int32_t piece;
  int32_t mask_bytes;  // of a channel
  const uint8_t* masks;
  const int32_t* starts;  // of each group, the stored pieces before it
  const int8_t* pieces;
};

// Scratch: what an output pixel reads of a group, int16, filled up to whole pieces.
template <Rounding kRounding>
void MaskedConv2D(const MaskedConv2DInt16Args& args, const Rows& rows, const int16_t* input,
                  int16_t* output, void* scratch);

}  // namespace micro
}  // namespace edgeax
