#pragma once  // arch/int16_fully_connected.h: the matrix product of int16 on its own.

#include "tflite_kernels/arch/int16_matmul.h"
#include "tflite_kernels/core/fully_connected.h"

namespace edgeax {
namespace {

template <typename Simd>
Status PlanInt16FullyConnected(const Int16Args<FullyConnectedArgs>& args, Int16Plan* plan) {
  const Status status = CheckFullyConnected(args);
  if (status == Status::kOk) *plan = PlanInt16<Simd>(args.args.rows, args.args.depth);
  return status;
}

template <typename Simd>
Status Int16FullyConnectedScratchBytesOn(const Int16Args<FullyConnectedArgs>& args, size_t* bytes) {
  Int16Plan plan;
  const Status status = PlanInt16FullyConnected<Simd>(args, &plan);
  *bytes = status == Status::kOk ? plan.total_bytes : 0;
  return status;
}

template <typename Simd>
Status Int16FullyConnectedOn(const Int16Args<FullyConnectedArgs>& int16_args,
                             const Int16Tensors& tensors) {
  Int16Plan plan;
  Status status = PlanInt16FullyConnected<Simd>(int16_args, &plan);
  if (status == Status::kOk) status = CheckFullyConnected(int16_args, tensors);
  if (status != Status::kOk) return status;
  if (tensors.scratch.size < plan.total_bytes) return Status::kBadScratch;
  const FullyConnectedArgs& args = int16_args.args;
  const Int16MatMul<Simd> product(plan, args.quantization, tensors.scratch.data);
  const int32_t row_bytes = PackedBytes(args.depth, CodeBits(tensors.codebook.size));
  const Range range = RangeOf(args.outputs, Simd::kColumns, tensors.share);
  const Int16Columns columns = {range.end - range.begin,
                                tensors.bias.data + range.begin,
                                tensors.requantization.data + range.begin,
                                tensors.weights.data + static_cast<size_t>(range.begin) * row_bytes,
                                row_bytes,
                                tensors.codebook};
  for (int32_t first = 0; first < args.rows; first += plan.block_rows) {
    const int32_t left_over = args.rows - first;
    const int32_t rows = left_over < plan.block_rows ? left_over : plan.block_rows;
    for (int32_t r = 0; r < rows; ++r) {
      memcpy(product.LeftRow(r), tensors.input.data + static_cast<size_t>(first + r) * args.depth,
             static_cast<size_t>(args.depth) * sizeof(int16_t));
      product.FinishLeftRow(r, args.depth);
    }
    int16_t* output = tensors.output.data + static_cast<size_t>(first) * args.outputs + range.begin;
    product.Run(columns, rows, output, static_cast<size_t>(args.outputs));
  }
  return Status::kOk;
}

}  // namespace
}  // namespace edgeax
