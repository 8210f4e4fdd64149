#pragma once  // arch/grouped_fully_connected.h: the product with weights in groups on its own.

#include "tflite_kernels/arch/grouped_matmul.h"
#include "tflite_kernels/core/grouped_fully_connected.h"

namespace edgeax {

template <typename Simd>
Status PlanGroupedFullyConnected(const GroupedFullyConnectedArgs& args, GroupedPlan* plan) {
  const Status status = CheckGroupedFullyConnected(args);
  if (status != Status::kOk) return status;
  *plan = PlanGrouped<Simd>(args.fully_connected.rows, args.fully_connected.depth, args.format);
  return Status::kOk;
}

template <typename Simd>
Status GroupedFullyConnectedScratchBytesOn(const GroupedFullyConnectedArgs& args, size_t* bytes) {
  GroupedPlan plan;
  const Status status = PlanGroupedFullyConnected<Simd>(args, &plan);
  *bytes = status == Status::kOk ? plan.total_bytes : 0;
  return status;
}

template <typename Simd>
Status GroupedFullyConnectedOn(const GroupedFullyConnectedArgs& args, const Tensors& tensors) {
  GroupedPlan plan;
  Status status = PlanGroupedFullyConnected<Simd>(args, &plan);
  if (status == Status::kOk) status = CheckGroupedFullyConnected(args, tensors);
  if (status != Status::kOk) return status;
  if (tensors.scratch.size < plan.total_bytes) return Status::kBadScratch;
  const FullyConnectedArgs& sizes = args.fully_connected;
  const GroupedMatMul<Simd> grouped(plan, args.format, tensors, sizes.quantization);
  const MatMul<Simd>& product = grouped.product;
  const int8_t* input_end = tensors.input.data + tensors.input.size;
  const Range range = RangeOf(sizes.outputs, Simd::kColumns, tensors.share);
  const GroupedColumns columns =
      grouped.ColumnsFrom(tensors, sizes.depth, range.begin, range.end - range.begin);
  for (int32_t first = 0; first < sizes.rows; first += plan.product.block_rows) {
    const int32_t left_over = sizes.rows - first;
    const int32_t rows = left_over < plan.product.block_rows ? left_over : plan.product.block_rows;
    for (int32_t r = 0; r < rows; ++r) {
      Simd::PackLeft(tensors.input.data + static_cast<size_t>(first + r) * sizes.depth, input_end,
                     sizes.depth, sizes.quantization, product.LeftRow(r));
      product.FinishLeftRow(r, sizes.depth);
    }
    int8_t* output = tensors.output.data + static_cast<size_t>(first) * sizes.outputs + range.begin;
    grouped.Run(columns, rows, output, static_cast<size_t>(sizes.outputs));
  }
  return Status::kOk;
}

}  // namespace edgeax
