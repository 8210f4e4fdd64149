#pragma once  // arch/fully_connected.h: the matrix product on its own.

#include "tflite_kernels/arch/matmul.h"
#include "tflite_kernels/core/fully_connected.h"

namespace edgeax {

template <typename Simd>
Status PlanFullyConnected(const FullyConnectedArgs& args, MatMulPlan* plan) {
  const Status status = CheckFullyConnected(args);
  if (status == Status::kOk) *plan = PlanMatMul<Simd>(args.rows, args.depth);
  return status;
}

template <typename Simd>
Status FullyConnectedScratchBytesOn(const FullyConnectedArgs& args, size_t* bytes) {
  MatMulPlan plan;
  const Status status = PlanFullyConnected<Simd>(args, &plan);
  *bytes = status == Status::kOk ? plan.total_bytes : 0;
  return status;
}

template <typename Simd>
Status FullyConnectedOn(const FullyConnectedArgs& args, const Tensors& tensors) {
  MatMulPlan plan;
  Status status = PlanFullyConnected<Simd>(args, &plan);
  if (status == Status::kOk) status = CheckFullyConnected(args, tensors);
  if (status != Status::kOk) return status;
  if (tensors.scratch.size < plan.total_bytes) return Status::kBadScratch;
  const MatMul<Simd> product(plan, args.quantization, tensors.scratch.data);
  const int8_t* input_end = tensors.input.data + tensors.input.size;
  const NibbleTables tables = TablesOf(tensors.codebook);
  const int32_t bits = CodeBits(tensors.codebook.size);
  const int32_t row_bytes = PackedBytes(args.depth, bits);
  const Range range = RangeOf(args.outputs, Simd::kColumns, tensors.share);
  const bool knows_sums = HasSize(tensors.weight_sums.size, args.outputs);
  const CodebookColumns columns = {
      {range.end - range.begin, tensors.bias.data + range.begin,
       tensors.requantization.data + range.begin, tables.largest},
      tensors.weights.data + static_cast<size_t>(range.begin) * row_bytes,
      tensors.weights.data + tensors.weights.size,
      bits,
      row_bytes,
      args.depth,
      &tables,
      knows_sums ? tensors.weight_sums.data + range.begin : nullptr};
  for (int32_t first = 0; first < args.rows; first += plan.block_rows) {
    const int32_t left_over = args.rows - first;
    const int32_t rows = left_over < plan.block_rows ? left_over : plan.block_rows;
    for (int32_t r = 0; r < rows; ++r) {
      Simd::PackLeft(tensors.input.data + static_cast<size_t>(first + r) * args.depth, input_end,
                     args.depth, args.quantization, product.LeftRow(r));
      product.FinishLeftRow(r, args.depth);
    }
    int8_t* output = tensors.output.data + static_cast<size_t>(first) * args.outputs + range.begin;
    product.Run(columns, rows, output, static_cast<size_t>(args.outputs));
  }
  return Status::kOk;
}

}  // namespace edgeax
