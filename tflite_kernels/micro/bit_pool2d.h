#pragma once  // micro/bit_pool2d.h: max pooling of numbers that are +1 or -1, a bit each.

#include "tflite_kernels/micro/types.h"

namespace edgeax {
namespace micro {

// A bit is 1 where a number is -1, and that of an output where all of its window are.
struct BitPool2DArgs {
  int32_t batch, height, width;
  int32_t pixel_bytes;
  int32_t last_bits;  // those of the last byte of a pixel that count
  int32_t output_height, output_width;
  int32_t kernel_height, kernel_width, stride_height, stride_width;
  int32_t pad_top, pad_left;
};

void BitPool2D(const BitPool2DArgs& args, const Rows& rows, const uint8_t* input, uint8_t* output);

}  // namespace micro
}  // namespace edgeax
