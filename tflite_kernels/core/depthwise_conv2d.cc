#include "tflite_kernels/core/depthwise_conv2d.h"

namespace edgeax {
namespace {

struct Position {
  int32_t batch, y, x, channel;
};

// Sum over the window at one output position; wraps around.
uint32_t SumAt(const DepthwiseConv2DArgs& args, const DepthwiseConv2DGeometry& geometry,
               const Tensors& tensors, const Position& at) {
  const Axis& height = geometry.window.height;
  const Axis& width = geometry.window.width;
  const int32_t input_channel = at.channel / args.depth_multiplier;
  const int32_t bits = CodeBits(tensors.codebook.size);
  const size_t row_bytes = static_cast<size_t>(PackedBytes(geometry.output_channels, bits));
  uint32_t sum = static_cast<uint32_t>(tensors.bias.data[at.channel]);
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
      sum += static_cast<uint32_t>((input - args.quantization.input_zero_point) * weight);
    }
  }
  return sum;
}

}  // namespace

Status GeometryOf(const DepthwiseConv2DArgs& args, DepthwiseConv2DGeometry* geometry) {
  const Status window =
      GeometryOf(args.window, args.input.height, args.input.width, &geometry->window);
  if (window != Status::kOk) return window;
  if (args.depth_multiplier < 1) return Status::kBadArgument;
  const int64_t channels = CheckedProduct(args.input.channels, args.depth_multiplier);
  const int64_t taps = CheckedProduct(args.window.kernel_height, args.window.kernel_width);
  if (channels < 0 || taps < 0 || taps > kMaxRowDepth) return Status::kBadShape;
  geometry->output_channels = static_cast<int32_t>(channels);
  geometry->taps = static_cast<int32_t>(taps);
  return CheckQuantization(args.quantization);
}

Status CheckDepthwiseConv2D(const DepthwiseConv2DArgs& args, const Tensors& tensors,
                            DepthwiseConv2DGeometry* geometry) {
  const Status status = GeometryOf(args, geometry);
  if (status != Status::kOk) return status;
  const WindowGeometry& window = geometry->window;
  return CheckTensors(
      tensors,
      CheckedProduct(args.input.batch, args.input.height, args.input.width, args.input.channels),
      geometry->taps, geometry->output_channels, geometry->output_channels,
      CheckedProduct(args.input.batch, window.height.output, window.width.output,
                     geometry->output_channels));
}

Status DepthwiseConv2D(const DepthwiseConv2DArgs& args, const Tensors& tensors) {
  DepthwiseConv2DGeometry geometry;
  const Status status = CheckDepthwiseConv2D(args, tensors, &geometry);
  if (status != Status::kOk) return status;
  int8_t* output = tensors.output.data;
  for (int32_t n = 0; n < args.input.batch; ++n) {
    for (int32_t y = 0; y < geometry.window.height.output; ++y) {
      for (int32_t x = 0; x < geometry.window.width.output; ++x) {
        for (int32_t c = 0; c < geometry.output_channels; ++c) {
          const uint32_t sum = SumAt(args, geometry, tensors, {n, y, x, c});
          *output++ = OutputCode(sum, tensors.requantization.data[c], args.quantization);
        }
      }
    }
  }
  return Status::kOk;
}

}  // namespace edgeax
