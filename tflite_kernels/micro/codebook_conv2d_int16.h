#pragma once  // micro/codebook_conv2d_int16.h: convolutions of int16 codes with weights in codes.

#include "tflite_kernels/micro/convolution.h"

namespace edgeax {
namespace micro {

// Zero points are 0.
struct CodebookConv2DInt16Args {
  ConvolutionShape shape;
  Clamp clamp;
  int32_t factor_step;  // 1: a factor per channel, 0: one for all
  Factors factors;
  const int32_t* bias;
  int32_t bits;            // of a code: 4, 2 or 1
  const int8_t* codebook;  // 2 to the power of `bits` weights
  const uint8_t* codes;    // of a channel, first one in the lowest bits, then of the next
};

// Scratch: the weights of a channel, filled up to whole bytes of codes.
template <Rounding kRounding>
void CodebookConv2D(const CodebookConv2DInt16Args& args, const Rows& rows, const int16_t* input,
                    int16_t* output, void* scratch);

}  // namespace micro
}  // namespace edgeax
