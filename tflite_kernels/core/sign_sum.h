#pragma once  // core/sign_sum.h: products of numbers that are sums of signs.
              // Python twin: edgeax/formats/sign_sum.py.

#include "tflite_kernels/core/binary_conv2d.h"
#include "tflite_kernels/core/fully_connected.h"

namespace edgeax {

constexpr int32_t kMostPlanes = 8;        // of numbers, and as many bases of weights
constexpr int32_t kMostThresholds = 256;  // of a plane

// The total of any products and the largest bias fits int32.
constexpr int64_t kMaxSignSum = INT32_MAX - int64_t{kMaxBinaryBias};

// An activation is a sum of `planes` signs and a weight one of `bases`, each with a gain. The sign
// of an activation in a plane is -1 where an odd number of the plane's `thresholds` lie above its
// code. `conv2d` says how windows slide; a matrix product is a 1x1 convolution of images of one
// pixel. Positions outside the image count as `pad_value`, 0 or 1, in every plane.
struct SignSumArgs {
  Conv2DArgs conv2d;
  int32_t planes, bases;
  int32_t thresholds;
  int32_t pad_value;
};

// What such a kernel reads and writes; see Tensors. `weights` holds for each base the rows of a
// binary convolution. `gains` int32 [bases][planes][output channels] may be negative;
// `thresholds` int32 [planes][thresholds]: one of -128 or less lies above no code, one above 127
// above all. `requantization` is that of a unit of gains and bias.
struct SignSumTensors {
  Span<const int8_t> input;
  Span<const uint8_t> weights;
  Span<const int32_t> bias;
  Span<const Requantization> requantization;
  Span<const int32_t> gains;
  Span<const int32_t> thresholds;
  Span<uint8_t> scratch;
  Span<int8_t> output;
  Share share = {0, 1};
};

// The arguments of a matrix product.
static inline SignSumArgs SignSumProductArgs(const FullyConnectedArgs& product, int32_t planes,
                                             int32_t bases, int32_t thresholds) {
  const Window window = {1, 1, 1, 1, 1, 1, Padding::kValid};
  const Shape4 input = {product.rows, 1, 1, product.depth};
  return {{input, product.outputs, 1, window, product.quantization}, planes, bases, thresholds, 0};
}

// Checks the arguments alone. Returns kBadArgument or kBadShape, `geometry` then undefined.
Status GeometryOf(const SignSumArgs& args, BinaryConv2DGeometry* geometry);

// Returns kBadArgument when a channel's magnitudes of `parts` gains, times the depth, add up to
// more than kMaxSignSum.
Status CheckSignGains(Span<const int32_t> gains, int32_t channels, int32_t parts, int32_t depth);

// The same as GeometryOf and the sizes of all spans but `scratch`, the biases and the gains.
Status CheckSignSum(const SignSumArgs& args, const SignSumTensors& tensors,
                    BinaryConv2DGeometry* geometry);

// Whether a plane's sign of a code is -1.
static inline bool SignIsNegative(int32_t code, const int32_t* thresholds, int32_t count) {
  int32_t above = 0;
  for (int32_t t = 0; t < count; ++t) above += code < thresholds[t] ? 1 : 0;
  return above % 2 != 0;
}

// output[n,y,x,c] = OutputCode(bias[c] + Sum over bases b and planes p of gains[b,p,c] *
// Sum sign_p(input[n,iy,ix,i]) * w_b[c,ky,kx,i]). Same integers on every target. Needs no scratch.
// On an error `output` is untouched.
Status SignSum(const SignSumArgs& args, const SignSumTensors& tensors);

}  // namespace edgeax
