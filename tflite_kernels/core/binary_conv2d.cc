#include "tflite_kernels/core/binary_conv2d.h"

namespace edgeax {
namespace {

struct Position {
  int32_t batch, y, x, channel;
};

// Products of one tap that is inside the image.
int32_t TapSum(const BinaryConv2DArgs& args, const BinaryConv2DGeometry& geometry,
               const int8_t* pixel, const uint8_t* tap, int32_t first_input) {
  int32_t sum = 0;
  for (int32_t i = 0; i < geometry.conv2d.group_inputs; ++i) {
    const int32_t x = BinaryInput(pixel, first_input + i, args.form, args.conv2d.quantization);
    sum += x == Unpack(tap, i, 1) ? 1 : -1;
  }
  return sum;
}

// The same where every input is `pad_value`.
int32_t PaddingSum(const BinaryConv2DArgs& args, const BinaryConv2DGeometry& geometry,
                   const uint8_t* tap) {
  int32_t sum = 0;
  for (int32_t i = 0; i < geometry.conv2d.group_inputs; ++i) sum += 1 - 2 * Unpack(tap, i, 1);
  return sum * args.pad_value;
}

// Sum over the window at one output position.
int32_t SumAt(const BinaryConv2DArgs& args, const BinaryConv2DGeometry& geometry,
              const BinaryTensors& tensors, const Position& at) {
  const Axis& height = geometry.conv2d.window.height;
  const Axis& width = geometry.conv2d.window.width;
  const uint8_t* tap = tensors.weights.data + size_t(at.channel) * geometry.row_bytes;
  const int32_t group = at.channel / geometry.conv2d.group_outputs;
  const int32_t pixel_bytes = BinaryBytes(args.form.input_packed, args.conv2d.input.channels);
  int32_t sum = 0;
  for (int32_t ky = 0; ky < height.kernel; ++ky) {
    const int32_t y = AxisInput(height, at.y, ky);
    for (int32_t kx = 0; kx < width.kernel; ++kx, tap += geometry.tap_bytes) {
      const int32_t x = AxisInput(width, at.x, kx);
      if (!AxisHas(height, y) || !AxisHas(width, x)) {
        sum += PaddingSum(args, geometry, tap);
        continue;
      }
      const size_t pixel = (size_t(at.batch) * height.input + y) * width.input + x;
      sum += TapSum(args, geometry, tensors.input.data + pixel * pixel_bytes, tap,
                    group * geometry.conv2d.group_inputs);
    }
  }
  return sum;
}

}  // namespace

Status GeometryOf(const BinaryConv2DArgs& args, BinaryConv2DGeometry* geometry) {
  Status status = CheckBinaryForm(args.form);
  if (status == Status::kOk) status = GeometryOf(args.conv2d, &geometry->conv2d);
  if (status != Status::kOk) return status;
  if (args.pad_value != 0 && args.pad_value != 1) return Status::kBadArgument;
  geometry->tap_bytes = PackedBytes(geometry->conv2d.group_inputs, 1);
  geometry->row_bytes =
      args.conv2d.window.kernel_height * args.conv2d.window.kernel_width * geometry->tap_bytes;
  return Status::kOk;
}

Status CheckBinaryConv2D(const BinaryConv2DArgs& args, const BinaryTensors& tensors,
                         BinaryConv2DGeometry* geometry) {
  const Status status = GeometryOf(args, geometry);
  if (status != Status::kOk) return status;
  const Shape4& input = args.conv2d.input;
  const WindowGeometry& window = geometry->conv2d.window;
  return CheckBinaryTensors(
      tensors,
      CheckedProduct(input.batch, input.height, input.width,
                     BinaryBytes(args.form.input_packed, input.channels)),
      CheckedProduct(args.conv2d.output_channels, geometry->row_bytes), args.conv2d.output_channels,
      CheckedProduct(input.batch, window.height.output, window.width.output,
                     BinaryBytes(args.form.output_packed, args.conv2d.output_channels)));
}

Status BinaryConv2D(const BinaryConv2DArgs& args, const BinaryTensors& tensors) {
  BinaryConv2DGeometry geometry;
  const Status status = CheckBinaryConv2D(args, tensors, &geometry);
  if (status != Status::kOk) return status;
  const WindowGeometry& window = geometry.conv2d.window;
  const int32_t channels = args.conv2d.output_channels;
  int8_t* output = tensors.output.data;
  for (int32_t n = 0; n < args.conv2d.input.batch; ++n) {
    for (int32_t y = 0; y < window.height.output; ++y) {
      for (int32_t x = 0; x < window.width.output; ++x) {
        for (int32_t c = 0; c < channels; ++c) {
          StoreBinary(SumAt(args, geometry, tensors, {n, y, x, c}), c, tensors, args.form,
                      args.conv2d.quantization, output);
        }
        output += BinaryBytes(args.form.output_packed, channels);
      }
    }
  }
  return Status::kOk;
}

}  // namespace edgeax
