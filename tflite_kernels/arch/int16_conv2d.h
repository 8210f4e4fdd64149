#pragma once  // arch/int16_conv2d.h: convolution of int16 as products of blocks of gathered
              // windows.

#include "tflite_kernels/arch/conv2d.h"
#include "tflite_kernels/arch/int16_matmul.h"
#include "tflite_kernels/core/sparse_conv2d.h"

namespace edgeax {
namespace {

inline const Conv2DArgs& Conv2DOf(const Conv2DArgs& args) { return args; }
inline const Conv2DArgs& Conv2DOf(const SparseConv2DArgs& args) { return args.conv2d; }

// Checks the arguments and plans the product of one group.
template <typename Simd, typename Args>
Status PlanInt16Conv2D(const Int16Args<Args>& args, Conv2DGeometry* geometry, Int16Plan* plan) {
  const Status status = GeometryOf(args, geometry);
  if (status != Status::kOk) return status;
  const int64_t rows =
      CheckedProduct(Conv2DOf(args.args).input.batch, geometry->window.height.output,
                     geometry->window.width.output);
  if (rows < 0) return Status::kBadShape;
  *plan = PlanInt16<Simd>(rows, geometry->depth);
  return Status::kOk;
}

template <typename Simd, typename Args>
Status Int16Conv2DScratchBytesOn(const Int16Args<Args>& args, size_t* bytes) {
  Conv2DGeometry geometry;
  Int16Plan plan;
  const Status status = PlanInt16Conv2D<Simd>(args, &geometry, &plan);
  *bytes = status == Status::kOk ? plan.total_bytes : 0;
  return status;
}

// Gathers the inputs of output positions into rows of a product.
struct Int16WindowGatherer {
  const Conv2DArgs& args;
  const Conv2DGeometry& geometry;
  const int16_t* input;  // from the first channel of the group on
};

// Writes `geometry.depth` numbers; positions outside the image are 0.
inline void GatherInt16(const Int16WindowGatherer& from, const OutputPosition& at, int16_t* to) {
  const Axis& height = from.geometry.window.height;
  const Axis& width = from.geometry.window.width;
  const int32_t channels = from.geometry.group_inputs;
  const size_t bytes = static_cast<size_t>(channels) * sizeof(int16_t);
  for (int32_t ky = 0; ky < height.kernel; ++ky) {
    const int32_t y = AxisInput(height, at.y, ky);
    const bool has_line = AxisHas(height, y);
    for (int32_t kx = 0; kx < width.kernel; ++kx, to += channels) {
      const int32_t x = AxisInput(width, at.x, kx);
      if (!has_line || !AxisHas(width, x)) {
        memset(to, 0, bytes);
        continue;
      }
      const size_t pixel = (static_cast<size_t>(at.batch) * height.input + y) * width.input + x;
      memcpy(to, from.input + pixel * from.args.input.channels, bytes);
    }
  }
}

// `rows_of(channel, columns)` gives the weights of output channels from `channel` on.
template <typename Simd, typename TensorsOfArgs, typename RowsOf>
void RunInt16Conv2D(const Conv2DArgs& args, const Conv2DGeometry& geometry, const Int16Plan& plan,
                    const TensorsOfArgs& tensors, const RowsOf& rows_of) {
  const Int16MatMul<Simd> product(plan, args.quantization, tensors.scratch.data);
  const int32_t pixels =
      args.input.batch * geometry.window.height.output * geometry.window.width.output;
  const Range range = RangeOf(pixels, Simd::kRows, tensors.share);
  for (int32_t first = range.begin; first < range.end; first += plan.block_rows) {
    const int32_t left_over = range.end - first;
    const int32_t rows = left_over < plan.block_rows ? left_over : plan.block_rows;
    for (int32_t group = 0; group < args.groups; ++group) {
      const Int16WindowGatherer gatherer = {args, geometry,
                                            tensors.input.data + group * geometry.group_inputs};
      OutputPosition at = PositionOf(geometry.window, first);
      for (int32_t r = 0; r < rows; ++r) {
        GatherInt16(gatherer, at, product.LeftRow(r));
        product.FinishLeftRow(r, geometry.depth);
        Advance(geometry.window, &at);
      }
      const int32_t channel = group * geometry.group_outputs;
      const Int16Columns columns = {geometry.group_outputs, tensors.bias.data + channel,
                                    tensors.requantization.data + channel};
      int16_t* output =
          tensors.output.data + static_cast<size_t>(first) * args.output_channels + channel;
      product.Run(rows_of(channel, columns), rows, output,
                  static_cast<size_t>(args.output_channels));
    }
  }
}

template <typename Simd>
Status Int16Conv2DOn(const Int16Args<Conv2DArgs>& args, const Int16Tensors& tensors) {
  Conv2DGeometry geometry;
  Int16Plan plan;
  Status status = PlanInt16Conv2D<Simd>(args, &geometry, &plan);
  if (status == Status::kOk) status = CheckConv2D(args, tensors, &geometry);
  if (status != Status::kOk) return status;
  if (tensors.scratch.size < plan.total_bytes) return Status::kBadScratch;
  const int32_t row_bytes = PackedBytes(geometry.depth, CodeBits(tensors.codebook.size));
  const auto rows_of = [&](int32_t channel, const Int16Columns& columns) {
    return Int16Codes{columns, tensors.weights.data + static_cast<size_t>(channel) * row_bytes,
                      row_bytes, tensors.codebook};
  };
  RunInt16Conv2D<Simd>(args.args, geometry, plan, tensors, rows_of);
  return Status::kOk;
}

template <typename Simd>
Status Int16SparseConv2DOn(const Int16Args<SparseConv2DArgs>& args,
                           const Int16SparseTensors& tensors) {
  Conv2DGeometry geometry;
  Int16Plan plan;
  Status status = PlanInt16Conv2D<Simd>(args, &geometry, &plan);
  if (status == Status::kOk) status = CheckSparseConv2D(args, tensors, &geometry);
  if (status != Status::kOk) return status;
  if (tensors.scratch.size < plan.total_bytes) return Status::kBadScratch;
  const auto rows_of = [&](int32_t channel, const Int16Columns& columns) {
    return Int16SparseRows{columns, args.args.format, geometry.depth, tensors.weights, channel};
  };
  RunInt16Conv2D<Simd>(args.args.conv2d, geometry, plan, tensors, rows_of);
  return Status::kOk;
}

}  // namespace
}  // namespace edgeax
