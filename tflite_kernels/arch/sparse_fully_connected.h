#pragma once  // arch/sparse_fully_connected.h: the product with sparse weights on its own.

#include "tflite_kernels/arch/balanced.h"
#include "tflite_kernels/arch/sparse_matmul.h"
#include "tflite_kernels/core/sparse_fully_connected.h"

namespace edgeax {

template <typename Simd>
Status PlanSparseFullyConnected(const SparseFullyConnectedArgs& args, SparsePlan* plan) {
  const Status status = CheckSparseFullyConnected(args);
  if (status != Status::kOk) return status;
  *plan = PlanSparse<Simd>(args.fully_connected.rows, args.fully_connected.depth);
  const size_t vector_bytes = kScratchAlignment + BalancedVectorBytes(args.fully_connected.depth);
  if (Simd::kTakesBalanced) plan->total_bytes = Largest(plan->total_bytes, vector_bytes);
  return status;
}

template <typename Simd>
Status SparseFullyConnectedScratchBytesOn(const SparseFullyConnectedArgs& args, size_t* bytes) {
  SparsePlan plan;
  const Status status = PlanSparseFullyConnected<Simd>(args, &plan);
  *bytes = status == Status::kOk ? plan.total_bytes : 0;
  return status;
}

template <typename Simd>
Status SparseFullyConnectedOn(const SparseFullyConnectedArgs& args, const SparseTensors& tensors) {
  SparsePlan plan;
  Status status = PlanSparseFullyConnected<Simd>(args, &plan);
  if (status == Status::kOk) status = CheckSparseFullyConnected(args, tensors);
  if (status != Status::kOk) return status;
  if (tensors.scratch.size < plan.total_bytes) return Status::kBadScratch;
  const FullyConnectedArgs& sizes = args.fully_connected;
  if constexpr (Simd::kTakesBalanced) {
    const BalancedWeights& balanced = tensors.balanced;
    if (balanced.bytes.size == BalancedSize(sizes.outputs, sizes.depth) &&
        HasSize(balanced.sums.size, sizes.outputs) && sizes.rows <= kMostBalancedVectors) {
      int8_t* vector = reinterpret_cast<int8_t*>(AlignedStart(tensors.scratch.data));
      RunBalanced<typename Simd::Balanced>(sizes, tensors, vector);
      return Status::kOk;
    }
  }
  const int8_t* input_end = tensors.input.data + tensors.input.size;
  const auto gather = [&](int32_t row, typename Simd::Left* to) {
    Simd::PackLeft(tensors.input.data + static_cast<size_t>(row) * sizes.depth, input_end,
                   sizes.depth, sizes.quantization, to);
  };
  const Range range = RangeOf(sizes.outputs, Simd::kColumns, tensors.share);
  const Columns columns = {range.end - range.begin, tensors.bias.data + range.begin,
                           tensors.requantization.data + range.begin, kLargestWeight};
  const SparseMatMul<Simd> product(plan, args.format, sizes.depth, tensors.weights,
                                   sizes.quantization, tensors.scratch);
  product.Run(range.begin, columns, sizes.rows, gather, tensors.output.data + range.begin,
              static_cast<size_t>(sizes.outputs));
  return Status::kOk;
}

}  // namespace edgeax
