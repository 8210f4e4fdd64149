#include "tflite_kernels/core/sparse_conv2d.h"

namespace edgeax {
namespace {

struct Position {
  int32_t batch, y, x, channel;
};

// The input channels that the weights of one tap of the window read; null outside the image.
template <typename Code>
const Code* InputOf(const Conv2DArgs& args, const Conv2DGeometry& geometry, const Code* input,
                    const Position& at, int32_t tap) {
  const Axis& height = geometry.window.height;
  const Axis& width = geometry.window.width;
  const int32_t y = AxisInput(height, at.y, tap / width.kernel);
  const int32_t x = AxisInput(width, at.x, tap % width.kernel);
  if (!AxisHas(height, y) || !AxisHas(width, x)) return nullptr;
  const size_t pixel = (size_t(at.batch) * height.input + y) * width.input + x;
  const int32_t first_input = at.channel / geometry.group_outputs * geometry.group_inputs;
  return input + pixel * args.input.channels + first_input;
}

// Sum over the window at one output position.
template <typename Code>
Sum<Code> SumAt(const SparseConv2DArgs& args, const Conv2DGeometry& geometry,
                const SparseCodeTensors<Code>& tensors, const Position& at) {
  const int32_t zero_point = args.conv2d.quantization.input_zero_point;
  const int8_t* values =
      tensors.weights.values.data + tensors.weights.starts.data[at.channel].value;
  SparseCursor row = SparseRow(args.format, geometry.depth, tensors.weights, at.channel);
  Sum<Code> sum = static_cast<Sum<Code>>(tensors.bias.data[at.channel]);
  for (; NextPlace(&row); values += args.format.block) {
    const int32_t first = row.place * args.format.block;
    const int32_t left_over = geometry.depth - first;
    const int32_t count = left_over < args.format.block ? left_over : args.format.block;
    int32_t tap = first / geometry.group_inputs;
    int32_t i = first % geometry.group_inputs;
    const Code* input = InputOf(args.conv2d, geometry, tensors.input.data, at, tap);
    for (int32_t k = 0; k < count; ++k, ++i) {
      if (i == geometry.group_inputs) {  // a block may reach into the next tap
        i = 0;
        input = InputOf(args.conv2d, geometry, tensors.input.data, at, ++tap);
      }
      if (input != nullptr) sum += static_cast<Sum<Code>>((input[i] - zero_point) * values[k]);
    }
  }
  return sum;
}

template <typename Code>
Status CheckSpans(const SparseConv2DArgs& args, const SparseCodeTensors<Code>& tensors,
                  const Conv2DGeometry& geometry) {
  const Shape4& input = args.conv2d.input;
  const WindowGeometry& window = geometry.window;
  return CheckSparseTensors(tensors,
                            CheckedProduct(input.batch, input.height, input.width, input.channels),
                            args.conv2d.output_channels,
                            CheckedProduct(input.batch, window.height.output, window.width.output,
                                           args.conv2d.output_channels));
}

template <typename Code>
Status Run(const SparseConv2DArgs& args, const Conv2DGeometry& geometry,
           const SparseCodeTensors<Code>& tensors) {
  Code* output = tensors.output.data;
  for (int32_t n = 0; n < args.conv2d.input.batch; ++n) {
    for (int32_t y = 0; y < geometry.window.height.output; ++y) {
      for (int32_t x = 0; x < geometry.window.width.output; ++x) {
        for (int32_t c = 0; c < args.conv2d.output_channels; ++c) {
          const Sum<Code> sum = SumAt(args, geometry, tensors, {n, y, x, c});
          *output++ = OutputCode(sum, tensors.requantization.data[c], args.conv2d.quantization);
        }
      }
    }
  }
  return Status::kOk;
}

}  // namespace

Status GeometryOf(const SparseConv2DArgs& args, Conv2DGeometry* geometry) {
  const Status format = CheckSparseFormat(args.format);
  return format == Status::kOk ? GeometryOf(args.conv2d, geometry) : format;
}

Status GeometryOf(const Int16Args<SparseConv2DArgs>& args, Conv2DGeometry* geometry) {
  const Status format = CheckSparseFormat(args.args.format);
  return format == Status::kOk ? GeometryOf(Int16Args<Conv2DArgs>{args.args.conv2d}, geometry)
                               : format;
}

Status CheckSparseConv2D(const SparseConv2DArgs& args, const SparseTensors& tensors,
                         Conv2DGeometry* geometry) {
  const Status status = GeometryOf(args, geometry);
  return status == Status::kOk ? CheckSpans(args, tensors, *geometry) : status;
}

Status CheckSparseConv2D(const Int16Args<SparseConv2DArgs>& args, const Int16SparseTensors& tensors,
                         Conv2DGeometry* geometry) {
  const Status status = GeometryOf(args, geometry);
  return status == Status::kOk ? CheckSpans(args.args, tensors, *geometry) : status;
}

Status SparseConv2D(const SparseConv2DArgs& args, const SparseTensors& tensors) {
  Conv2DGeometry geometry;
  const Status status = CheckSparseConv2D(args, tensors, &geometry);
  return status == Status::kOk ? Run(args, geometry, tensors) : status;
}

Status SparseConv2D(const Int16Args<SparseConv2DArgs>& args, const Int16SparseTensors& tensors) {
  Conv2DGeometry geometry;
  const Status status = CheckSparseConv2D(args, tensors, &geometry);
  return status == Status::kOk ? Run(args.args, geometry, tensors) : status;
}

}  // namespace edgeax
