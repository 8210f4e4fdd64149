#pragma once  // arch/balanced.h: few rows times balanced weights, see core/balanced.h.

#include <string.h>

#include "tflite_kernels/arch/steps.h"
#include "tflite_kernels/core/sparse_fully_connected.h"

namespace edgeax {

constexpr int32_t kBalancedColumns = 2 * kBalancedRows;  // that are computed together

static inline size_t BalancedVectorBytes(int32_t depth) {
  return static_cast<size_t>(BalancedSteps(depth)) * 2 * kBalancedGroup;
}

// `Steps` multiplies two tiles with a row and finishes their sums; `vector` has
// BalancedVectorBytes.
template <typename Steps>
void RunBalanced(const FullyConnectedArgs& args, const SparseTensors& tensors, int8_t* vector) {
  const BalancedWeights& weights = tensors.balanced;
  const int32_t steps = BalancedSteps(args.depth);
  const size_t tile_bytes = static_cast<size_t>(steps) * kBalancedBytes;
  const Range range = RangeOf(args.outputs, kBalancedRows, tensors.share);
  for (int32_t r = 0; r < args.rows; ++r) {
    const int8_t* row = tensors.input.data + static_cast<size_t>(r) * args.depth;
    if (args.depth % (2 * kBalancedGroup) != 0) {
      memcpy(vector, row, static_cast<size_t>(args.depth));  // the rest meets zeros
      row = vector;
    }
    for (int32_t c = range.begin; c < range.end; c += kBalancedColumns) {
      const int32_t left_over = range.end - c;
      const int32_t count = left_over < kBalancedColumns ? left_over : kBalancedColumns;
      const uint8_t* first = weights.bytes.data + c / kBalancedRows * tile_bytes;
      int32_t sums[kBalancedColumns];
      Steps::DotTiles(row, first, count > kBalancedRows ? first + tile_bytes : first, steps, sums);
      Steps::Store(sums, c, count, args, tensors,
                   tensors.output.data + static_cast<size_t>(r) * args.outputs + c);
    }
  }
}

}  // namespace edgeax
