#pragma once  // arch/grouped_conv2d.h: convolution as products with weights in groups.

#include "tflite_kernels/arch/conv2d.h"
#include "tflite_kernels/arch/grouped_matmul.h"
#include "tflite_kernels/core/grouped_conv2d.h"

namespace edgeax {

// Checks the arguments and plans the product of one group of channels.
template <typename Simd>
Status PlanGroupedConv2D(const GroupedConv2DArgs& args, Conv2DGeometry* geometry,
                         GroupedPlan* plan) {
  const Status status = GeometryOf(args, geometry);
  if (status != Status::kOk) return status;
  const int64_t rows = CheckedProduct(args.conv2d.input.batch, geometry->window.height.output,
                                      geometry->window.width.output);
  if (rows < 0) return Status::kBadShape;
  *plan = PlanGrouped<Simd>(rows, geometry->depth, args.format);
  return Status::kOk;
}

template <typename Simd>
Status GroupedConv2DScratchBytesOn(const GroupedConv2DArgs& args, size_t* bytes) {
  Conv2DGeometry geometry;
  GroupedPlan plan;
  const Status status = PlanGroupedConv2D<Simd>(args, &geometry, &plan);
  *bytes = status == Status::kOk ? plan.total_bytes : 0;
  return status;
}

template <typename Simd>
Status GroupedConv2DOn(const GroupedConv2DArgs& args, const Tensors& tensors) {
  Conv2DGeometry geometry;
  GroupedPlan plan;
  Status status = PlanGroupedConv2D<Simd>(args, &geometry, &plan);
  if (status == Status::kOk) status = CheckGroupedConv2D(args, tensors, &geometry);
  if (status != Status::kOk) return status;
  if (tensors.scratch.size < plan.total_bytes) return Status::kBadScratch;
  const Conv2DArgs& conv2d = args.conv2d;
  const GroupedMatMul<Simd> grouped(plan, args.format, tensors, conv2d.quantization);
  const size_t stride = static_cast<size_t>(conv2d.output_channels);
  const auto run = [&](int32_t channel, int32_t first, int32_t rows) {
    grouped.Run(grouped.ColumnsFrom(tensors, geometry.depth, channel, geometry.group_outputs), rows,
                tensors.output.data + static_cast<size_t>(first) * stride + channel, stride);
  };
  ForEachBlock(conv2d, geometry, grouped.product, tensors.input, tensors.share, run);
  return Status::kOk;
}

}  // namespace edgeax
