#pragma once  // arch/int16_fully_connected.h: the matrix product of int16 on its own.

#include "tflite_kernels/arch/int16_matmul.h"
#include "tflite_kernels/core/fully_connected.h"
#include "tflite_kernels/core/sparse_fully_connected.h"

namespace edgeax {
namespace {

inline Status PlanSizes(const Int16Args<FullyConnectedArgs>& args, FullyConnectedArgs* sizes) {
  *sizes = args.args;
  return CheckFullyConnected(args);
}

inline Status PlanSizes(const Int16Args<SparseFullyConnectedArgs>& args,
                        FullyConnectedArgs* sizes) {
  *sizes = args.args.fully_connected;
  return CheckSparseFullyConnected(args);
}

template <typename Simd, typename Args>
Status PlanInt16FullyConnected(const Int16Args<Args>& args, Int16Plan* plan) {
  FullyConnectedArgs sizes;
  const Status status = PlanSizes(args, &sizes);
  if (status == Status::kOk) *plan = PlanInt16<Simd>(sizes.rows, sizes.depth);
  return status;
}

template <typename Simd, typename Args>
Status Int16FullyConnectedScratchBytesOn(const Int16Args<Args>& args, size_t* bytes) {
  Int16Plan plan;
  const Status status = PlanInt16FullyConnected<Simd>(args, &plan);
  *bytes = status == Status::kOk ? plan.total_bytes : 0;
  return status;
}

// `rows_of(output, columns)` gives the weights of outputs from `output` on.
template <typename Simd, typename TensorsOfArgs, typename RowsOf>
void RunInt16FullyConnected(const FullyConnectedArgs& args, const Int16Plan& plan,
                            const TensorsOfArgs& tensors, const RowsOf& rows_of) {
  const Int16MatMul<Simd> product(plan, args.quantization, tensors.scratch.data);
  const Range range = RangeOf(args.outputs, Simd::kColumns, tensors.share);
  const Int16Columns columns = {range.end - range.begin, tensors.bias.data + range.begin,
                                tensors.requantization.data + range.begin};
  const auto weights = rows_of(range.begin, columns);
  for (int32_t first = 0; first < args.rows; first += plan.block_rows) {
    const int32_t left_over = args.rows - first;
    const int32_t rows = left_over < plan.block_rows ? left_over : plan.block_rows;
    for (int32_t r = 0; r < rows; ++r) {
      memcpy(product.LeftRow(r), tensors.input.data + static_cast<size_t>(first + r) * args.depth,
             static_cast<size_t>(args.depth) * sizeof(int16_t));
      product.FinishLeftRow(r, args.depth);
    }
    int16_t* output = tensors.output.data + static_cast<size_t>(first) * args.outputs + range.begin;
    product.Run(weights, rows, output, static_cast<size_t>(args.outputs));
  }
}

template <typename Simd>
Status Int16FullyConnectedOn(const Int16Args<FullyConnectedArgs>& args,
                             const Int16Tensors& tensors) {
  Int16Plan plan;
  Status status = PlanInt16FullyConnected<Simd>(args, &plan);
  if (status == Status::kOk) status = CheckFullyConnected(args, tensors);
  if (status != Status::kOk) return status;
  if (tensors.scratch.size < plan.total_bytes) return Status::kBadScratch;
  const int32_t row_bytes = PackedBytes(args.args.depth, CodeBits(tensors.codebook.size));
  const auto rows_of = [&](int32_t output, const Int16Columns& columns) {
    return Int16Codes{columns, tensors.weights.data + static_cast<size_t>(output) * row_bytes,
                      row_bytes, tensors.codebook};
  };
  RunInt16FullyConnected<Simd>(args.args, plan, tensors, rows_of);
  return Status::kOk;
}

template <typename Simd>
Status Int16SparseFullyConnectedOn(const Int16Args<SparseFullyConnectedArgs>& args,
                                   const Int16SparseTensors& tensors) {
  Int16Plan plan;
  Status status = PlanInt16FullyConnected<Simd>(args, &plan);
  if (status == Status::kOk) status = CheckSparseFullyConnected(args, tensors);
  if (status != Status::kOk) return status;
  if (tensors.scratch.size < plan.total_bytes) return Status::kBadScratch;
  const FullyConnectedArgs& sizes = args.args.fully_connected;
  const auto rows_of = [&](int32_t output, const Int16Columns& columns) {
    return Int16SparseRows{columns, args.args.format, sizes.depth, tensors.weights, output};
  };
  RunInt16FullyConnected<Simd>(sizes, plan, tensors, rows_of);
  return Status::kOk;
}

}  // namespace
}  // namespace edgeax
