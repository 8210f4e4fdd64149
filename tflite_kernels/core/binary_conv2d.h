#pragma once  // core/binary_conv2d.h: convolution of numbers that are +1 or -1.

#include "tflite_kernels/core/binary.h"
#include "tflite_kernels/core/conv2d.h"

namespace edgeax {

// `conv2d.input.channels` are numbers, not bytes. `pad_value`: what positions outside the image
// count as, 0 or 1.
struct BinaryConv2DArgs {
  Conv2DArgs conv2d;
  BinaryForm form;
  int32_t pad_value;
};

// What follows from the arguments. Each tap of a row of weights begins on a byte.
struct BinaryConv2DGeometry {
  Conv2DGeometry conv2d;
  int32_t tap_bytes, row_bytes;
};

// Checks the arguments alone. Returns kBadArgument or kBadShape, `geometry` then undefined.
Status GeometryOf(const BinaryConv2DArgs& args, BinaryConv2DGeometry* geometry);

// The same and the sizes of all spans but `scratch`, and the biases.
Status CheckBinaryConv2D(const BinaryConv2DArgs& args, const BinaryTensors& tensors,
                         BinaryConv2DGeometry* geometry);

// total[n,y,x,c] = BinaryTotal(bias[c], Sum x[n,iy,ix,i] * w[c,ky,kx,i]) and what StoreBinary makes
// of it. `weights` holds output_channels rows of bits in the order height, width, input channel.
// Same integers on every target. Needs no scratch. On an error `output` is untouched.
Status BinaryConv2D(const BinaryConv2DArgs& args, const BinaryTensors& tensors);

}  // namespace edgeax
