#include "tflite_kernels/core/depthwise_conv2d.h"

namespace edgeax {
namespace {

struct Position {
  int32_t batch, y, x, channel;
};

// Sum over the window at one output position.
template <typename Code>
Sum<Code> SumAt(const DepthwiseConv2DArgs& args, const DepthwiseConv2DGeometry& geometry,
                const CodeTensors<Code>& tensors, const Position& at) {
  const Axis& height = geometry.window.height;
  const Axis& width = geometry.window.width;
  const int32_t input_channel = at.channel / args.depth_multiplier;
  const int32_t bits = CodeBits(tensors.codebook.size);
  const size_t row_bytes = static_cast<size_t>(PackedBytes(geometry.output_channels, bits));
  Sum<Code> sum = static_cast<Sum<Code>>(tensors.bias.data[at.channel]);
  for (int32_t ky = 0; ky < height.kernel; ++ky) {
    const int32_t y = AxisInput(height, at.y, ky);
    if (!AxisHas(height, y)) continue;
    for (int32_t kx = 0; kx < width.kernel; ++kx) {
      const int32_t x = AxisInput(width, at.x, kx);
      if (!AxisHas(width, x)) continue;
      const size_t pixel = (size_t(at.batch) * height.input + y) * width.input + x;
      const int32_t input = tensors.input.data[pixel * args.input.channels + input_channel];
      const uint8_t* row = tensors.weights.data + size_t(ky * width.kernel + kx) * row_bytes;
      const int32_t weight = tensors.codebook.data[Unpack(row, at.channel, bits)];
      sum += static_cast<Sum<Code>>((input - args.quantization.input_zero_point) * weight);
    }
  }
  return sum;
}

// All but the quantization.
Status ShapeOf(const DepthwiseConv2DArgs& args, DepthwiseConv2DGeometry* geometry) {
  const Status window =
      GeometryOf(args.window, args.input.height, args.input.width, &geometry->window);
  if (window != Status::kOk) return window;
  if (args.depth_multiplier < 1) return Status::kBadArgument;
  const int64_t channels = CheckedProduct(args.input.channels, args.depth_multiplier);
  const int64_t taps = CheckedProduct(args.window.kernel_height, args.window.kernel_width);
  if (channels < 0 || taps < 0 || taps > kMaxRowDepth) return Status::kBadShape;
  geometry->output_channels = static_cast<int32_t>(channels);
  geometry->taps = static_cast<int32_t>(taps);
  return Status::kOk;
}

template <typename Code>
Status CheckSpans(const DepthwiseConv2DArgs& args, const CodeTensors<Code>& tensors,
                  const DepthwiseConv2DGeometry& geometry) {
  const WindowGeometry& window = geometry.window;
  return CheckTensors(
      tensors,
      CheckedProduct(args.input.batch, args.input.height, args.input.width, args.input.channels),
      geometry.taps, geometry.output_channels, geometry.output_channels,
      CheckedProduct(args.input.batch, window.height.output, window.width.output,
                     geometry.output_channels));
}

template <typename Code>
Status Run(const DepthwiseConv2DArgs& args, const DepthwiseConv2DGeometry& geometry,
           const CodeTensors<Code>& tensors) {
  Code* output = tensors.output.data;
  for (int32_t n = 0; n < args.input.batch; ++n) {
    for (int32_t y = 0; y < geometry.window.height.output; ++y) {
      for (int32_t x = 0; x < geometry.window.width.output; ++x) {
        for (int32_t c = 0; c < geometry.output_channels; ++c) {
          const Sum<Code> sum = SumAt(args, geometry, tensors, {n, y, x, c});
          *output++ = OutputCode(sum, tensors.requantization.data[c], args.quantization);
        }
      }
    }
  }
  return Status::kOk;
}

}  // namespace

Status GeometryOf(const DepthwiseConv2DArgs& args, DepthwiseConv2DGeometry* geometry) {
  const Status status = ShapeOf(args, geometry);
  return status == Status::kOk ? CheckQuantization(args.quantization) : status;
}

Status GeometryOf(const Int16Args<DepthwiseConv2DArgs>& args, DepthwiseConv2DGeometry* geometry) {
  const Status status = ShapeOf(args.args, geometry);
  return status == Status::kOk ? CheckInt16Quantization(args.args.quantization) : status;
}

Status CheckDepthwiseConv2D(const DepthwiseConv2DArgs& args, const Tensors& tensors,
                            DepthwiseConv2DGeometry* geometry) {
  const Status status = GeometryOf(args, geometry);
  return status == Status::kOk ? CheckSpans(args, tensors, *geometry) : status;
}

Status CheckDepthwiseConv2D(const Int16Args<DepthwiseConv2DArgs>& args, const Int16Tensors& tensors,
                            DepthwiseConv2DGeometry* geometry) {
  const Status status = GeometryOf(args, geometry);
  return status == Status::kOk ? CheckSpans(args.args, tensors, *geometry) : status;
}

Status DepthwiseConv2D(const DepthwiseConv2DArgs& args, const Tensors& tensors) {
  DepthwiseConv2DGeometry geometry;
  const Status status = CheckDepthwiseConv2D(args, tensors, &geometry);
  return status == Status::kOk ? Run(args, geometry, tensors) : status;
}

Status DepthwiseConv2D(const Int16Args<DepthwiseConv2DArgs>& args, const Int16Tensors& tensors) {
  DepthwiseConv2DGeometry geometry;
  const Status status = CheckDepthwiseConv2D(args, tensors, &geometry);
  return status == Status::kOk ? Run(args.args, geometry, tensors) : status;
}

}  // namespace edgeax
