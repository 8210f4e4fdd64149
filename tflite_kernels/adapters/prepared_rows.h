#pragma once  // adapters/prepared_rows.h: what products want to know of their weights, made once.

#include "tflite_kernels/adapters/memory.h"
#include "tflite_kernels/core/fully_connected.h"
#include "tflite_kernels/core/sparse_fully_connected.h"

namespace edgeax {

// Where there is no memory, kernels do without.
class PreparedRows {
 public:
  void Sum(const FullyConnectedArgs& args, Span<const uint8_t> weights,
           Span<const int8_t> codebook) {
    if (!sums_.Allocate(static_cast<size_t>(args.outputs))) return;
    SumRows(weights, codebook, args.depth, {sums_.data(), sums_.size()});
  }

  // Writes the weights in the order that kernels for few vectors would rather read, unless too many
  // are left in a place, or so few that it would be many times what the file has.
  void Balance(const SparseFullyConnectedArgs& args, const SparseWeights& weights) {
    const FullyConnectedArgs& sizes = args.fully_connected;
    const size_t stored = weights.values.size + weights.indices.size;
    const size_t bytes = BalancedSize(sizes.outputs, sizes.depth);
    const bool pays = sizes.rows <= kMostBalancedVectors && bytes / kMostGrowth <= stored;
    const bool fits =
        pays && balanced_.Allocate(bytes) && sums_.Allocate(static_cast<size_t>(sizes.outputs)) &&
        WriteBalanced(args.format, sizes.outputs, sizes.depth, weights,
                      {balanced_.data(), balanced_.size()}, {sums_.data(), sums_.size()});
    if (!fits) balanced_.Allocate(0);
  }

  Span<const int32_t> sums() const { return {sums_.data(), sums_.size()}; }

  BalancedWeights balanced() const { return {{balanced_.data(), balanced_.size()}, sums()}; }

 private:
  static constexpr size_t kMostGrowth = 8;

  Buffer<int32_t> sums_;
  Buffer<uint8_t> balanced_;
};

}  // namespace edgeax
