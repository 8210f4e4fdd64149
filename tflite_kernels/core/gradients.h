#pragma once  // core/gradients.h: gradients of layers on floats, as TensorFlow's operators.

#include "tflite_kernels/core/window.h"

namespace edgeax {

// A convolution or, with as many groups as input channels, a depthwise one; its kernel is
// [kernel_height, kernel_width, input.channels / groups, output_channels], and output channel o
// belongs to group o / (output_channels / groups). Its output is [input.batch,
// window.height.output, window.width.output, output_channels].
struct Conv2DGradientArgs {
  Shape4 input;
  int32_t output_channels;
  int32_t groups;
  WindowGeometry window;
};

// A pooling layer; its dilations are 1.
struct PoolGradientArgs {
  Shape4 input;
  WindowGeometry window;
};

enum class ActivationKind : int32_t { kRelu = 0, kRelu6 = 1, kLeakyRelu = 2, kElu = 3 };

struct ActivationGradientArgs {
  int32_t count;
  ActivationKind kind;
  float alpha;  // slope of kLeakyRelu below 0
};

// The memory of one call; the caller owns all of it. `values` is what the gradient is taken at,
// `gradients` that of the layer's output.
struct GradientTensors {
  Span<const float> values;
  Span<const float> gradients;
  Span<uint8_t> scratch;
  Span<float> output;
  Share share = {0, 1};
};

// Positions of the output whose products are added up before they are added to the others.
constexpr int32_t kGradientPositions = 128;

// Numbers in the tensors of an operator.
struct GradientSizes {
  int64_t values, gradients, output;
};

// Checks the arguments alone. Returns kBadArgument or kBadShape; the sizes are right if kOk.
Status CheckBackpropFilter(const Conv2DGradientArgs& args, GradientSizes* sizes);
Status CheckBackpropInput(const Conv2DGradientArgs& args, GradientSizes* sizes);
Status CheckMaxPoolGrad(const PoolGradientArgs& args, GradientSizes* sizes);
Status CheckAvgPoolGrad(const PoolGradientArgs& args, GradientSizes* sizes);
Status CheckActivationGrad(const ActivationGradientArgs& args, GradientSizes* sizes);

// kBadShape when a span but `scratch` has another size.
static inline Status CheckGradientTensors(const GradientSizes& sizes,
                                          const GradientTensors& tensors) {
  const bool sizes_fit = HasSize(tensors.values.size, sizes.values) &&
                         HasSize(tensors.gradients.size, sizes.gradients) &&
                         HasSize(tensors.output.size, sizes.output);
  return sizes_fit ? Status::kOk : Status::kBadShape;
}

// Sums are of MultiplyAdd, in the order that each function tells, so that every target and any
// number of threads give the same bits, but for which NaN a NaN is. On an error `output` is
// untouched. None needs scratch.

// The gradient of the kernel: `values` is the input. For each weight, with the positions of the
// output numbered through the batch, row by row,
//   output = the sum of gradients[position, o] * values[what the tap reads there, i]
// by blocks of kGradientPositions: products of a block are added to 0 in order, then the blocks.
// A tap reads 0 outside of the image.
Status Conv2DBackpropFilter(const Conv2DGradientArgs& args, const GradientTensors& tensors);

// The gradient of the input: `values` is the kernel. For each number of the input
//   output = the sum of gradients[the position whose tap reads it, o] * values[tap, i, o]
// over the taps that could read it for the layer's strides, in order, and for each the output
// channels of the group; positions outside of the output count as 0.
Status Conv2DBackpropInput(const Conv2DGradientArgs& args, const GradientTensors& tensors);

// `values` is the input. Each gradient goes to the first of the highest numbers of its window, in
// the order of rows; a NaN is the highest where it comes first and else is none. Gradients of the
// same number are added in the order of the output.
Status MaxPoolGrad(const PoolGradientArgs& args, const GradientTensors& tensors);

// `values` is empty. Each gradient times 1 / n goes to the n numbers of its window in the image,
// and is added there by MultiplyAdd in the order of the output.
Status AvgPoolGrad(const PoolGradientArgs& args, const GradientTensors& tensors);

// `values` is the input of the activation, or its output, which is as good; of kElu its output.
Status ActivationGrad(const ActivationGradientArgs& args, const GradientTensors& tensors);

// The gradient of one number.
template <ActivationKind kKind>
static inline float ActivationGradientOf(float gradient, float value, float alpha) {
  switch (kKind) {
    case ActivationKind::kRelu:
      return value > 0.0f ? gradient : 0.0f;
    case ActivationKind::kRelu6:
      return value > 0.0f && value < 6.0f ? gradient : 0.0f;
    case ActivationKind::kLeakyRelu:
      return value > 0.0f ? gradient : gradient * alpha;
    default:
      return value < 0.0f ? (value + 1.0f) * gradient : gradient;
  }
}

template <ActivationKind kOne>
struct ConstantKind {
  static constexpr ActivationKind kKind = kOne;
};

// Calls run(ConstantKind<kind>()).
template <typename Run>
static inline void WithKind(ActivationKind kind, const Run& run) {
  switch (kind) {
    case ActivationKind::kRelu:
      return run(ConstantKind<ActivationKind::kRelu>());
    case ActivationKind::kRelu6:
      return run(ConstantKind<ActivationKind::kRelu6>());
    case ActivationKind::kLeakyRelu:
      return run(ConstantKind<ActivationKind::kLeakyRelu>());
    case ActivationKind::kElu:
      return run(ConstantKind<ActivationKind::kElu>());
  }
}

// The numbers of an axis that a window at an output position has in the image.
static inline Range WindowRange(const Axis& axis, int32_t output) {
  const int32_t first = AxisInput(axis, output, 0), end = first + axis.kernel;
  return {first < 0 ? 0 : first, end < axis.input ? end : axis.input};
}

}  // namespace edgeax
