#pragma once  // arch/sparse_conv2d.h: convolution as products with sparse weights.

#include "tflite_kernels/arch/conv2d.h"
#include "tflite_kernels/arch/sparse_matmul.h"
#include "tflite_kernels/arch/sparse_planes.h"
#include "tflite_kernels/core/sparse_conv2d.h"

namespace edgeax {

// Both forms, of which only one is used.
struct SparseConv2DPlan {
  SparsePlan product;  // of one group
  PlanesPlan planes;
  size_t total_bytes;
};

// Checks the arguments and plans.
template <typename Simd>
Status PlanSparseConv2D(const SparseConv2DArgs& args, Conv2DGeometry* geometry,
                        SparseConv2DPlan* plan) {
  const Status status = GeometryOf(args, geometry);
  if (status != Status::kOk) return status;
  const int64_t rows = CheckedProduct(args.conv2d.input.batch, geometry->window.height.output,
                                      geometry->window.width.output);
  if (rows < 0) return Status::kBadShape;
  plan->product = PlanSparse<Simd>(rows, geometry->depth);
  plan->planes = {};
  if constexpr (Simd::kUsesPlanes) plan->planes = PlanPlanes<Simd>(args, *geometry);
  plan->total_bytes = Largest(plan->product.total_bytes, plan->planes.total_bytes);
  return Status::kOk;
}

template <typename Simd>
Status SparseConv2DScratchBytesOn(const SparseConv2DArgs& args, size_t* bytes) {
  Conv2DGeometry geometry;
  SparseConv2DPlan plan;
  const Status status = PlanSparseConv2D<Simd>(args, &geometry, &plan);
  *bytes = status == Status::kOk ? plan.total_bytes : 0;
  return status;
}

// Whether few enough weights are left for planes to pay.
template <typename Simd>
bool HasFewWeights(const SparseConv2DArgs& args, const Conv2DGeometry& geometry,
                   const SparseTensors& tensors) {
  const int64_t weights = int64_t{args.conv2d.output_channels} * geometry.depth;
  const int64_t left = static_cast<int64_t>(tensors.weights.values.size);
  return left * 100 <= weights * Simd::kGroupedLanesPercent;
}

template <typename Simd>
Status SparseConv2DOn(const SparseConv2DArgs& args, const SparseTensors& tensors) {
  Conv2DGeometry geometry;
  SparseConv2DPlan plan;
  Status status = PlanSparseConv2D<Simd>(args, &geometry, &plan);
  if (status == Status::kOk) status = CheckSparseConv2D(args, tensors, &geometry);
  if (status != Status::kOk) return status;
  if (tensors.scratch.size < plan.total_bytes) return Status::kBadScratch;
  if constexpr (Simd::kUsesPlanes) {
    if (plan.planes.serves && HasFewWeights<Simd>(args, geometry, tensors)) {
      SparsePlanes<Simd>(plan.planes, args, geometry, tensors).Run();
      return Status::kOk;
    }
  }
  const Conv2DArgs& conv2d = args.conv2d;
  const SparseMatMul<Simd> product(plan.product, args.format, geometry.depth, tensors.weights,
                                   conv2d.quantization, tensors.scratch);
  const int32_t pixels =
      conv2d.input.batch * geometry.window.height.output * geometry.window.width.output;
  const Range range = RangeOf(pixels, kLanes, tensors.share);
  if (range.begin == range.end) return Status::kOk;
  for (int32_t group = 0; group < conv2d.groups; ++group) {
    const WindowGatherer<Simd> gatherer = {conv2d, geometry, tensors.input.data,
                                           tensors.input.data + tensors.input.size,
                                           group * geometry.group_inputs};
    const auto gather = [&](int32_t pixel, typename Simd::Left* to) {
      gatherer.Gather(PositionOf(geometry.window, range.begin + pixel), to);
    };
    const int32_t channel = group * geometry.group_outputs;
    const Columns columns = {geometry.group_outputs, tensors.bias.data + channel,
                             tensors.requantization.data + channel, kLargestWeight};
    const size_t stride = static_cast<size_t>(conv2d.output_channels);
    product.Run(channel, columns, range.end - range.begin, gather,
                tensors.output.data + static_cast<size_t>(range.begin) * stride + channel, stride);
  }
  return Status::kOk;
}

}  // namespace edgeax
