#pragma once  // arch/sparse_conv2d.h: convolution as products with sparse weights.

#include "tflite_kernels/arch/conv2d.h"
#include "tflite_kernels/arch/sparse_matmul.h"
#include "tflite_kernels/arch/sparse_planes.h"
#include "tflite_kernels/core/sparse_conv2d.h"

namespace edgeax {

// Checks the arguments and plans the product of one group.
template <typename Simd>
Status PlanSparseConv2D(const SparseConv2DArgs& args, Conv2DGeometry* geometry, SparsePlan* plan) {
  const Status status = GeometryOf(args, geometry);
  if (status != Status::kOk) return status;
  const int64_t rows = CheckedProduct(args.conv2d.input.batch, geometry->window.height.output,
                                      geometry->window.width.output);
  if (rows < 0) return Status::kBadShape;
  *plan = PlanSparse<Simd>(rows, geometry->depth);
  return Status::kOk;
}

template <typename Simd>
Status SparseConv2DScratchBytesOn(const SparseConv2DArgs& args, size_t* bytes) {
  Conv2DGeometry geometry;
  SparsePlan plan;
  const Status status = PlanSparseConv2D<Simd>(args, &geometry, &plan);
  *bytes = status == Status::kOk ? plan.total_bytes : 0;
  if constexpr (Simd::kUsesPlanes) {
    if (status == Status::kOk) {
      *bytes = Largest(*bytes, PlanPlanes<Simd>(args, geometry).total_bytes);
    }
  }
  return status;
}

// Whether the convolution is one of planes, and computed.
template <typename Simd>
bool RunPlanes(const SparseConv2DArgs& args, const Conv2DGeometry& geometry,
               const SparseTensors& tensors) {
  const PlanesPlan plan = PlanPlanes<Simd>(args, geometry);
  const int64_t weights = int64_t{args.conv2d.output_channels} * geometry.depth;
  const int64_t left = static_cast<int64_t>(tensors.weights.values.size);
  if (!plan.serves || left * 100 > weights * Simd::kGroupedLanesPercent) return false;
  SparsePlanes<Simd>(plan, args, geometry, tensors).Run();
  return true;
}

template <typename Simd>
Status SparseConv2DOn(const SparseConv2DArgs& args, const SparseTensors& tensors) {
  Conv2DGeometry geometry;
  SparsePlan plan;
  Status status = PlanSparseConv2D<Simd>(args, &geometry, &plan);
  if (status == Status::kOk) status = CheckSparseConv2D(args, tensors, &geometry);
  size_t scratch_bytes;
  if (status == Status::kOk) status = SparseConv2DScratchBytesOn<Simd>(args, &scratch_bytes);
  if (status != Status::kOk) return status;
  if (tensors.scratch.size < scratch_bytes) return Status::kBadScratch;
  const Conv2DArgs& conv2d = args.conv2d;
  if constexpr (Simd::kUsesPlanes) {
    if (RunPlanes<Simd>(args, geometry, tensors)) return Status::kOk;
  }
  const SparseMatMul<Simd> product(plan, args.format, geometry.depth, tensors.weights,
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
