#include "tflite_kernels/core/lookup_conv2d.h"

namespace edgeax {
namespace {

struct Position {
  int32_t batch, y, x, channel;
};

// Sum over the window at one output position; wraps around.
uint32_t SumAt(const LookupConv2DArgs& args, const Conv2DGeometry& geometry,
               const LookupTensors& tensors, const Position& at) {
  const Axis& height = geometry.window.height;
  const Axis& width = geometry.window.width;
  const int32_t first_input = at.channel / geometry.group_outputs * geometry.group_inputs;
  uint32_t sum = static_cast<uint32_t>(tensors.bias.data[at.channel]);
  for (int32_t k = 0; k < geometry.depth; ++k) {
    const int32_t tap = k / geometry.group_inputs;
    const int32_t y = AxisInput(height, at.y, tap / width.kernel);
    const int32_t x = AxisInput(width, at.x, tap % width.kernel);
    if (!AxisHas(height, y) || !AxisHas(width, x)) continue;
    const size_t pixel = (size_t(at.batch) * height.input + y) * width.input + x;
    const size_t place = pixel * args.conv2d.input.channels + first_input;
    const int8_t code = tensors.input.data[place + k % geometry.group_inputs];
    sum += static_cast<uint32_t>(
        LookupProduct(tensors, args.bits, geometry.depth, at.channel, k, code));
  }
  return sum;
}

}  // namespace

Status GeometryOf(const LookupConv2DArgs& args, Conv2DGeometry* geometry) {
  return GeometryOf(GroupedOf(args), geometry);
}

Status CheckLookup(const LookupConv2DArgs& args) {
  Conv2DGeometry geometry;
  return GeometryOf(args, &geometry);
}

Status CheckLookup(const LookupConv2DArgs& args, const LookupTensors& tensors) {
  Conv2DGeometry geometry;
  const Status status = GeometryOf(args, &geometry);
  if (status != Status::kOk) return status;
  const Conv2DArgs& conv2d = args.conv2d;
  const Shape4& input = conv2d.input;
  const WindowGeometry& window = geometry.window;
  return CheckLookupTensors(tensors, args.bits,
                            CheckedProduct(input.batch, input.height, input.width, input.channels),
                            conv2d.output_channels, geometry.depth,
                            CheckedProduct(input.batch, window.height.output, window.width.output,
                                           conv2d.output_channels));
}

Status LookupConv2D(const LookupConv2DArgs& args, const LookupTensors& tensors) {
  const Status status = CheckLookup(args, tensors);
  if (status != Status::kOk) return status;
  Conv2DGeometry geometry;
  GeometryOf(args, &geometry);
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
