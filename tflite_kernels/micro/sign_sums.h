#pragma once  // micro/sign_sums.h: products of numbers that are sums of signs, a bit each.

#include "tflite_kernels/micro/convolution.h"

namespace edgeax {
namespace micro {

// A bit is 1 where a number is -1. Pixels of packed images begin on bytes, see core/binary.h; an
// activation is a sum of `planes` signs, a weight one of `bases`, each pair with a gain, see
// core/sign_sum.h. A patch has for each plane the bits of its taps, each of which begins on a byte
// and is filled up with zeros; patches fill words, and so do weights.
struct SignSumsArgs {
  ConvolutionShape shape;  // channels are numbers
  int32_t pad_value;       // what positions outside the image count as: 0 or 1
  int32_t planes, bases;
  int32_t tap_bytes, patch_words;
  int32_t output_zero_point;
  Clamp clamp;
  // 1: a factor per channel, 0: one for all. Where the output is bits, they are 1 where the sum and
  // the factor differ in their signs.
  int32_t factor_step;
  Factors factors;
  const uint8_t* signs;  // of each code, from -128 on, a bit per plane; null: the input is bits
  const int32_t* bias;
  const int32_t* gains;    // of each output channel `bases` times `planes`; null: all are 4096
  const int32_t* weights;  // of each output channel `bases` patches
};

// Scratch: a patch of each plane, one more, and (kernel_height - 1) * dilation_height + 1 rows of
// the image as bits: for each plane, pixel and group a tap.
template <Rounding kRounding>
void SignSums(const SignSumsArgs& args, const Rows& rows, const int8_t* input, int8_t* output,
              void* scratch);
template <Rounding kRounding>
void SignSums(const SignSumsArgs& args, const Rows& rows, const uint8_t* input, int8_t* output,
              void* scratch);
template <Rounding kRounding>
void SignSums(const SignSumsArgs& args, const Rows& rows, const int8_t* input, uint8_t* output,
              void* scratch);
template <Rounding kRounding>
void SignSums(const SignSumsArgs& args, const Rows& rows, const uint8_t* input, uint8_t* output,
              void* scratch);

}  // namespace micro
}  // namespace edgeax
