#pragma once  // core/binary_max_pool2d.h: max pooling of numbers that are +1 or -1, as bits.

#include "tflite_kernels/core/binary.h"
#include "tflite_kernels/core/window.h"

namespace edgeax {

// `input.channels` are numbers, not bytes. The window has dilation 1.
struct BinaryMaxPool2DArgs {
  Shape4 input;
  Window window;
};

// Bits that come in and go out, see core/binary.h.
struct BinaryPoolTensors {
  Span<const uint8_t> input;
  Span<uint8_t> scratch;
  Span<uint8_t> output;
  Share share = {0, 1};
};

// Checks the arguments alone. Returns kBadArgument or kBadShape, `geometry` then undefined.
Status GeometryOf(const BinaryMaxPool2DArgs& args, WindowGeometry* geometry);

// Each output is -1 where all inputs of its window are; positions outside the image do not count.
// Needs no scratch. On an error `output` is untouched.
Status BinaryMaxPool2D(const BinaryMaxPool2DArgs& args, const BinaryPoolTensors& tensors);

}  // namespace edgeax
