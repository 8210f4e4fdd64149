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
  const size_t stride = static_cast<size_t>(sizes.output_channels);
  const auto run = [&](int32_t channel, int32_t first, int32_t rows) {
    vectors.Run(way, channel, geometry.group_outputs, rows,
                tensors.output.data + static_cast<size_t>(first) * stride + channel, stride);
  };
  ForEachBlock(sizes, geometry, vectors.product, tensors.input, tensors.share, run);
  return Status::kOk;
}

}  // namespace edgeax
