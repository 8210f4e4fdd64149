#include "tflite_kernels/core/vector_conv2d.h"

namespace edgeax {
namespace {

struct Position {
  int32_t batch, y, x, channel;
};

// Sum over the window at one output position; wraps around.
uint32_t SumAt(const VectorConv2DArgs& args, const Conv2DGeometry& geometry,
               const VectorTensors& tensors, const Position& at) {
  const Conv2DArgs& sizes = args.conv2d;
  const Axis& height = geometry.window.height;
  const Axis& width = geometry.window.width;
  const int32_t first_input = at.channel / geometry.group_outputs * geometry.group_inputs;
  uint32_t sum = static_cast<uint32_t>(tensors.bias.data[at.channel]);
  for (int32_t k = 0; k < geometry.depth; ++k) {
    const int32_t tap = k / geometry.group_inputs, i = k % geometry.group_inputs;
    const int32_t y = AxisInput(height, at.y, tap / width.kernel);
    const int32_t x = AxisInput(width, at.x, tap % width.kernel);
    if (!AxisHas(height, y) || !AxisHas(width, x)) continue;
    const size_t pixel = (static_cast<size_t>(at.batch) * height.input + y) * width.input + x;
    const int32_t input = tensors.input.data[pixel * sizes.input.channels + first_input + i];
    const int32_t weight =
        VectorWeight(args.format, tensors, geometry.depth, sizes.output_channels, at.channel, k);
    sum += static_cast<uint32_t>((input - sizes.quantization.input_zero_point) * weight);
  }
  return sum;
}

}  // namespace

Status GeometryOf(const VectorConv2DArgs& args, Conv2DGeometry* geometry) {
  const Status status = GeometryOf(args.conv2d, geometry);
  return status == Status::kOk ? CheckVectorFormat(args.format, geometry->depth) : status;
}

Status CheckVectorConv2D(const VectorConv2DArgs& args, const VectorTensors& tensors,
                         Conv2DGeometry* geometry) {
  const Status status = GeometryOf(args, geometry);
  if (status != Status::kOk) return status;
  const Conv2DArgs& sizes = args.conv2d;
  const Shape4& input = sizes.input;
  return CheckVectorTensors(args.format, tensors,
                            CheckedProduct(input.batch, input.height, input.width, input.channels),
                            geometry->depth, sizes.output_channels,
                            CheckedProduct(input.batch, geometry->window.height.output,
                                           geometry->window.width.output, sizes.output_channels));
}

Status VectorConv2D(const VectorConv2DArgs& args, const VectorTensors& tensors) {
  Conv2DGeometry geometry;
  const Status status = CheckVectorConv2D(args, tensors, &geometry);
  if (status != Status::kOk) return status;
  const Conv2DArgs& sizes = args.conv2d;
  int8_t* output = tensors.output.data;
  for (int32_t n = 0; n < sizes.input.batch; ++n) {
    for (int32_t y = 0; y < geometry.window.height.output; ++y) {
      for (int32_t x = 0; x < geometry.window.width.output; ++x) {
        for (int32_t c = 0; c < sizes.output_channels; ++c) {
          const uint32_t sum = SumAt(args, geometry, tensors, {n, y, x, c});
          *output++ = OutputCode(sum, tensors.requantization.data[c], sizes.quantization);
        }
      }
    }
  }
  return Status::kOk;
}

}  // namespace edgeax
