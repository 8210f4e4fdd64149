#include "tflite_kernels/core/grouped_conv2d.h"

namespace edgeax {
namespace {

struct Position {
  int32_t batch, y, x, channel;
};

// Sum over the window at one output position; wraps around.
uint32_t SumAt(const GroupedConv2DArgs& args, const Conv2DGeometry& geometry,
               const Tensors& tensors, const Position& at) {
  const Conv2DArgs& conv2d = args.conv2d;
  const Axis& height = geometry.window.height;
  const Axis& width = geometry.window.width;
  const int32_t depth = geometry.depth;
  const uint8_t* row =
      tensors.weights.data + size_t(at.channel) * GroupedRowBytes(args.format, depth);
  const int32_t first_input = at.channel / geometry.group_outputs * geometry.group_inputs;
  uint32_t sum = static_cast<uint32_t>(tensors.bias.data[at.channel]);
  for (int32_t k = 0; k < depth; ++k) {
    const int32_t tap = k / geometry.group_inputs;
    const int32_t y = AxisInput(height, at.y, tap / width.kernel);
    const int32_t x = AxisInput(width, at.x, tap % width.kernel);
    if (!AxisHas(height, y) || !AxisHas(width, x)) continue;
    const size_t pixel = (size_t(at.batch) * height.input + y) * width.input + x;
    const int32_t input =
        tensors.input.data[pixel * conv2d.input.channels + first_input + k % geometry.group_inputs];
    const int32_t weight = GroupedWeight(tensors, args.format, row, depth, k);
    sum += static_cast<uint32_t>((input - conv2d.quantization.input_zero_point) * weight);
  }
  return sum;
}

}  // namespace

Status GeometryOf(const GroupedConv2DArgs& args, Conv2DGeometry* geometry) {
  const Status status = GeometryOf(args.conv2d, geometry);
  return status == Status::kOk ? CheckGroupedFormat(args.format) : status;
}

Status CheckGroupedConv2D(const GroupedConv2DArgs& args, const Tensors& tensors,
                          Conv2DGeometry* geometry) {
  const Status status = GeometryOf(args, geometry);
  if (status != Status::kOk) return status;
  const Conv2DArgs& conv2d = args.conv2d;
  const WindowGeometry& window = geometry->window;
  return CheckGroupedTensors(tensors, args.format,
                             CheckedProduct(conv2d.input.batch, conv2d.input.height,
                                            conv2d.input.width, conv2d.input.channels),
                             conv2d.output_channels, geometry->depth,
                             CheckedProduct(conv2d.input.batch, window.height.output,
                                            window.width.output, conv2d.output_channels));
}

Status GroupedConv2D(const GroupedConv2DArgs& args, const Tensors& tensors) {
  Conv2DGeometry geometry;
  const Status status = CheckGroupedConv2D(args, tensors, &geometry);
  if (status != Status::kOk) return status;
  const Conv2DArgs& conv2d = args.conv2d;
  int8_t* output = tensors.output.data;
  for (int32_t n = 0; n < conv2d.input.batch; ++n) {
    for (int32_t y = 0; y < geometry.window.height.output; ++y) {
      for (int32_t x = 0; x < geometry.window.width.output; ++x) {
        for (int32_t c = 0; c < conv2d.output_channels; ++c) {
          const uint32_t sum = SumAt(args, geometry, tensors, {n, y, x, c});
          *output++ = OutputCode(sum, tensors.requantization.data[c], conv2d.quantization);
        }
      }
    }
  }
  return Status::kOk;
}

}  // namespace edgeax
