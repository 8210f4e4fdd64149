#include "tflite_kernels/core/conv2d.h"

namespace edgeax {
namespace {

struct Position {
  int32_t batch, y, x, channel;
};

// Sum over the window at one output position.
template <typename Code>
Sum<Code> SumAt(const Conv2DArgs& args, const Conv2DGeometry& geometry,
                const CodeTensors<Code>& tensors, const Position& at) {
  const Axis& height = geometry.window.height;
  const Axis& width = geometry.window.width;
  const int32_t bits = CodeBits(tensors.codebook.size);
  const uint8_t* row =
      tensors.weights.data + size_t(at.channel) * PackedBytes(geometry.depth, bits);
  const int32_t first_input = at.channel / geometry.group_outputs * geometry.group_inputs;
  Sum<Code> sum = static_cast<Sum<Code>>(tensors.bias.data[at.channel]);
  for (int32_t ky = 0; ky < height.kernel; ++ky) {
    const int32_t y = AxisInput(height, at.y, ky);
    if (!AxisHas(height, y)) continue;
    for (int32_t kx = 0; kx < width.kernel; ++kx) {
      const int32_t x = AxisInput(width, at.x, kx);
      if (!AxisHas(width, x)) continue;
      const size_t pixel = (size_t(at.batch) * height.input + y) * width.input + x;
      const Code* input = tensors.input.data + pixel * args.input.channels + first_input;
      const int32_t first_code = (ky * width.kernel + kx) * geometry.group_inputs;
      for (int32_t i = 0; i < geometry.group_inputs; ++i) {
        const int32_t weight = tensors.codebook.data[Unpack(row, first_code + i, bits)];
        sum += static_cast<Sum<Code>>((input[i] - args.quantization.input_zero_point) * weight);
      }
    }
  }
  return sum;
}

// All but the quantization.
Status ShapeOf(const Conv2DArgs& args, Conv2DGeometry* geometry) {
  const Status window =
      GeometryOf(args.window, args.input.height, args.input.width, &geometry->window);
  if (window != Status::kOk) return window;
  if (args.groups < 1) return Status::kBadArgument;
  if (args.input.channels < 1 || args.output_channels < 1 ||
      args.input.channels % args.groups != 0 || args.output_channels % args.groups != 0) {
    return Status::kBadShape;
  }
  geometry->group_inputs = args.input.channels / args.groups;
  geometry->group_outputs = args.output_channels / args.groups;
  const int64_t depth =
      CheckedProduct(args.window.kernel_height, args.window.kernel_width, geometry->group_inputs);
  if (depth < 0 || depth > kMaxRowDepth) return Status::kBadShape;
  geometry->depth = static_cast<int32_t>(depth);
  return Status::kOk;
}

template <typename Code>
Status CheckSpans(const Conv2DArgs& args, const CodeTensors<Code>& tensors,
                  const Conv2DGeometry& geometry) {
  const WindowGeometry& window = geometry.window;
  return CheckTensors(
      tensors,
      CheckedProduct(args.input.batch, args.input.height, args.input.width, args.input.channels),
      args.output_channels, geometry.depth, args.output_channels,
      CheckedProduct(args.input.batch, window.height.output, window.width.output,
                     args.output_channels));
}

template <typename Code>
Status Run(const Conv2DArgs& args, const Conv2DGeometry& geometry,
           const CodeTensors<Code>& tensors) {
  Code* output = tensors.output.data;
  for (int32_t n = 0; n < args.input.batch; ++n) {
    for (int32_t y = 0; y < geometry.window.height.output; ++y) {
      for (int32_t x = 0; x < geometry.window.width.output; ++x) {
        for (int32_t c = 0; c < args.output_channels; ++c) {
          const Sum<Code> sum = SumAt(args, geometry, tensors, {n, y, x, c});
          *output++ = OutputCode(sum, tensors.requantization.data[c], args.quantization);
        }
      }
    }
  }
  return Status::kOk;
}

}  // namespace

Status GeometryOf(const Conv2DArgs& args, Conv2DGeometry* geometry) {
  const Status status = ShapeOf(args, geometry);
  return status == Status::kOk ? CheckQuantization(args.quantization) : status;
}

Status GeometryOf(const Int16Args<Conv2DArgs>& args, Conv2DGeometry* geometry) {
  const Status status = ShapeOf(args.args, geometry);
  return status == Status::kOk ? CheckInt16Quantization(args.args.quantization) : status;
}

Status CheckConv2D(const Conv2DArgs& args, const Tensors& tensors, Conv2DGeometry* geometry) {
  const Status status = GeometryOf(args, geometry);
  return status == Status::kOk ? CheckSpans(args, tensors, *geometry) : status;
}

Status CheckConv2D(const Int16Args<Conv2DArgs>& args, const Int16Tensors& tensors,
                   Conv2DGeometry* geometry) {
  const Status status = GeometryOf(args, geometry);
  return status == Status::kOk ? CheckSpans(args.args, tensors, *geometry) : status;
}

Status Conv2D(const Conv2DArgs& args, const Tensors& tensors) {
  Conv2DGeometry geometry;
  const Status status = CheckConv2D(args, tensors, &geometry);
  return status == Status::kOk ? Run(args, geometry, tensors) : status;
}

Status Conv2D(const Int16Args<Conv2DArgs>& args, const Int16Tensors& tensors) {
  Conv2DGeometry geometry;
  const Status status = CheckConv2D(args, tensors, &geometry);
  return status == Status::kOk ? Run(args.args, geometry, tensors) : status;
}

}  // namespace edgeax
