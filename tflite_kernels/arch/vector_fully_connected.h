#pragma once  // arch/vector_fully_connected.h: the product with weights of codewords on its own.

#include "tflite_kernels/arch/vector_matmul.h"
#include "tflite_kernels/core/vector_fully_connected.h"

namespace edgeax {

template <typename Simd, typename Lookup>
Status PlanVectorFullyConnected(const VectorFullyConnectedArgs& args, VectorPlan* plan) {
  const Status status = CheckVectorFullyConnected(args);
  if (status != Status::kOk) return status;
  const FullyConnectedArgs& sizes = args.fully_connected;
  *plan = PlanVector<Simd, Lookup>(args.format, sizes.rows, sizes.depth);
  return status;
}

template <typename Simd, typename Lookup>
Status VectorFullyConnectedScratchBytesOn(const VectorFullyConnectedArgs& args, size_t* bytes) {
  VectorPlan plan;
  const Status status = PlanVectorFullyConnected<Simd, Lookup>(args, &plan);
  *bytes = status == Status::kOk ? plan.total_bytes : 0;
  return status;
}

template <typename Simd, typename Lookup>
Status VectorFullyConnectedOn(const VectorFullyConnectedArgs& args, const VectorTensors& tensors) {
  VectorPlan plan;
  Status status = PlanVectorFullyConnected<Simd, Lookup>(args, &plan);
  if (status == Status::kOk) status = CheckVectorFullyConnected(args, tensors);
  if (status != Status::kOk) return status;
  if (tensors.scratch.size < plan.total_bytes) return Status::kBadScratch;
  const FullyConnectedArgs& sizes = args.fully_connected;
  const VectorMatMul<Simd, Lookup> vectors(plan, args.format, tensors, sizes.depth, sizes.outputs,
                                           sizes.quantization);
  const Range range = RangeOf(sizes.outputs, kIndexBlock, tensors.share);
  if (range.begin == range.end) return Status::kOk;
  const VectorWay way = vectors.WayFor(sizes.rows, range.begin, sizes.outputs);
  vectors.Begin(way);
  const int8_t* input_end = tensors.input.data + tensors.input.size;
  for (int32_t first = 0; first < sizes.rows; first += plan.product.block_rows) {
    const int32_t left_over = sizes.rows - first;
    const int32_t rows = left_over < plan.product.block_rows ? left_over : plan.product.block_rows;
    for (int32_t r = 0; r < rows; ++r) {
      Simd::PackLeft(tensors.input.data + static_cast<size_t>(first + r) * sizes.depth, input_end,
                     sizes.depth, sizes.quantization, vectors.product.LeftRow(r));
      vectors.product.FinishLeftRow(r, sizes.depth);
    }
    int8_t* output = tensors.output.data + static_cast<size_t>(first) * sizes.outputs + range.begin;
    vectors.Run(way, range.begin, range.end - range.begin, rows, output,
                static_cast<size_t>(sizes.outputs));
  }
  return Status::kOk;
}

}  // namespace edgeax
