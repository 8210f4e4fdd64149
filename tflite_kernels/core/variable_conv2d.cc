#include "tflite_kernels/core/variable_conv2d.h"

#include "tflite_kernels/core/multiply_add.h"

namespace edgeax {
namespace {

// The number of output channel `output` at a position, before the activation.
float SumAt(const Conv2DGradientArgs& layer, const VariableConv2DTensors& tensors, int32_t n,
            int32_t y, int32_t x, int32_t output) {
  const Axis &height = layer.window.height, &width = layer.window.width;
  const Shape4& in = layer.input;
  const int32_t inputs = in.channels / layer.groups;
  const int32_t first = output / (layer.output_channels / layer.groups) * inputs;
  const float* weight = tensors.weights.data + output;
  float sum = tensors.bias.data[output];
  for (int32_t ky = 0; ky < height.kernel; ++ky) {
    const int32_t row = AxisInput(height, y, ky);
    for (int32_t kx = 0; kx < width.kernel; ++kx) {
      const int32_t column = AxisInput(width, x, kx);
      const bool is_inside = AxisHas(height, row) && AxisHas(width, column);
      const size_t pixel =
          is_inside ? (size_t(n) * in.height + row) * in.width + column : size_t{0};
      const float* values = tensors.input.data + pixel * in.channels + first;
      for (int32_t i = 0; i < inputs; ++i, weight += layer.output_channels) {
        sum = MultiplyAdd(is_inside ? values[i] : 0.0f, *weight, sum);
      }
    }
  }
  return sum;
}

}  // namespace

Status CheckVariableConv2D(const VariableConv2DArgs& args, VariableConv2DSizes* sizes) {
  if (args.activation < Activation::kNone || args.activation > Activation::kReluN1To1) {
    return Status::kBadArgument;
  }
  GradientSizes others;
  const Status status = CheckBackpropFilter(args.layer, &others);
  *sizes = {others.values, others.output, args.layer.output_channels, others.gradients};
  return status;
}

Status VariableConv2D(const VariableConv2DArgs& args, const VariableConv2DTensors& tensors) {
  VariableConv2DSizes sizes;
  Status status = CheckVariableConv2D(args, &sizes);
  if (status == Status::kOk) status = CheckVariableConv2DTensors(sizes, tensors);
  if (status != Status::kOk) return status;
  const FloatLimits limits = LimitsOf(args.activation);
  const Conv2DGradientArgs& layer = args.layer;
  float* output = tensors.output.data;
  for (int32_t n = 0; n < layer.input.batch; ++n) {
    for (int32_t y = 0; y < layer.window.height.output; ++y) {
      for (int32_t x = 0; x < layer.window.width.output; ++x) {
        for (int32_t o = 0; o < layer.output_channels; ++o) {
          *output++ = Clamped(SumAt(layer, tensors, n, y, x, o), limits);
        }
      }
    }
  }
  return Status::kOk;
}

}  // namespace edgeax
