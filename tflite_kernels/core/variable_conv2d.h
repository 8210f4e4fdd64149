#pragma once  // core/variable_conv2d.h: convolutions of floats whose kernel changes from call to
              // call.

#include "tflite_kernels/core/float_fully_connected.h"
#include "tflite_kernels/core/gradients.h"

namespace edgeax {

struct VariableConv2DArgs {
  Conv2DGradientArgs layer;
  Activation activation;
};

// The memory of one call; the caller owns all of it. `weights` are laid out as
// Conv2DGradientArgs says, `bias` has a number for each output channel.
struct VariableConv2DTensors {
  Span<const float> input;
  Span<const float> weights;
  Span<const float> bias;
  Span<uint8_t> scratch;
  Span<float> output;
  Share share = {0, 1};
};

// Numbers in the tensors of a layer.
struct VariableConv2DSizes {
  int64_t input, weights, bias, output;
};

// Checks the arguments alone. Returns kBadArgument or kBadShape; the sizes are right if kOk.
Status CheckVariableConv2D(const VariableConv2DArgs& args, VariableConv2DSizes* sizes);

// kBadShape when a span but `scratch` has another size.
static inline Status CheckVariableConv2DTensors(const VariableConv2DSizes& sizes,
                                                const VariableConv2DTensors& tensors) {
  const bool sizes_fit =
      HasSize(tensors.input.size, sizes.input) && HasSize(tensors.weights.size, sizes.weights) &&
      HasSize(tensors.bias.size, sizes.bias) && HasSize(tensors.output.size, sizes.output);
  return sizes_fit ? Status::kOk : Status::kBadShape;
}

// Each number of the output is the activation of what begins as bias[o] and takes, in order of the
// taps and for each of the group's input channels, MultiplyAdd(input, weight, sum): every target
// and any number of threads give the same bits, but for which NaN a NaN is. A tap reads 0 outside
// of the image. On an error `output` is untouched. Needs no scratch.
Status VariableConv2D(const VariableConv2DArgs& args, const VariableConv2DTensors& tensors);

}  // namespace edgeax
