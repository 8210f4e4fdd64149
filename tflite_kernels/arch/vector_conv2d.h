#pragma once  // arch/vector_conv2d.h: convolution with weights of codewords.

#include "tflite_kernels/arch/conv2d.h"
#include "tflite_kernels/arch/vector_matmul.h"
#include "tflite_kernels/core/vector_conv2d.h"

namespace edgeax {

template <typename Simd, typename Lookup>
Status PlanVectorConv2D(const VectorConv2DArgs& args, Conv2DGeometry* geometry, VectorPlan* plan) {
  const Status status = GeometryOf(args, geometry);
  if (status != Status::kOk) return status;
  const int64_t rows = CheckedProduct(args.conv2d.input.batch, geometry->window.height.output,
                                      geometry->window.width.output);
  if (rows < 0) return Status::kBadShape;
  *plan = PlanVector<Simd, Lookup>(args.format, rows, geometry->depth);
  return Status::kOk;
}

template <typename Simd, typename Lookup>
Status VectorConv2DScratchBytesOn(const VectorConv2DArgs& args, size_t* bytes) {
  Conv2DGeometry geometry;
  VectorPlan plan;
  const Status status = PlanVectorConv2D<Simd, Lookup>(args, &geometry, &plan);
  *bytes = status == Status::kOk ? plan.total_bytes : 0;
  return status;
}

template <typename Simd, typename Lookup>
Status VectorConv2DOn(const VectorConv2DArgs& args, const VectorTensors& tensors) {
  Conv2DGeometry geometry;
  VectorPlan plan;
  Status status = PlanVectorConv2D<Simd, Lookup>(args, &geometry, &plan);
  if (status == Status::kOk) status = CheckVectorConv2D(args, tensors, &geometry);
  if (status != Status::kOk) return status;
  if (tensors.scratch.size < plan.total_bytes) return Status::kBadScratch;
  const Conv2DArgs& sizes = args.conv2d;
  const VectorMatMul<Simd, Lookup> vectors(plan, args.format, tensors, geometry.depth,
                                           sizes.output_channels, sizes.quantization);
  const int32_t pixels =
      sizes.input.batch * geometry.window.height.output * geometry.window.width.output;
  const Range range = RangeOf(pixels, Simd::kRows, tensors.share);
  const int32_t second = sizes.groups > 1 ? geometry.group_outputs : 0;  // where that group starts
  const VectorWay way = vectors.WayFor(range.end - range.begin, second, geometry.group_outputs);
  vectors.Begin(way);
  for (int32_t first = range.begin; first < range.end; first += plan.product.block_rows) {
    const int32_t left_over = range.end - first;
    const int32_t rows = left_over < plan.product.block_rows ? left_over : plan.product.block_rows;
    for (int32_t group = 0; group < sizes.groups; ++group) {
      const WindowGatherer<Simd> gatherer = {sizes, geometry, tensors.input.data,
                                             tensors.input.data + tensors.input.size,
                                             group * geometry.group_inputs};
      OutputPosition at = PositionOf(geometry.window, first);
      for (int32_t r = 0; r < rows; ++r) {
        gatherer.Gather(at, vectors.product.LeftRow(r));
        vectors.product.FinishLeftRow(r, geometry.depth);
        Advance(geometry.window, &at);
      }
      const int32_t channel = group * geometry.group_outputs;
      int8_t* output =
          tensors.output.data + static_cast<size_t>(first) * sizes.output_channels + channel;
      vectors.Run(way, channel, geometry.group_outputs, rows, output,
                  static_cast<size_t>(sizes.output_channels));
    }
  }
  return Status::kOk;
}

}  // namespace edgeax
