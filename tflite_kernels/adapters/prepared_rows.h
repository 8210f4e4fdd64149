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

  // Writes the weights in the order that kernels for few rows would rather read, unless too many
  // are left in a place.
  void Balance(const SparseFullyConnectedArgs& args, const SparseWeights& weights) {
    const FullyConnectedArgs& sizes = args.fully_connected;
    const bool fits =
        balanced_.Allocate(BalancedSize(sizes.outputs, sizes.depth)) &&
        sums_.Allocate(static_cast<size_t>(sizes.outputs)) &&
        WriteBalanced(args.format, sizes.outputs, sizes.depth, weights,
                      {balanced_.data(), balanced_.size()}, {sums_.data(), sums_.size()});
    if (!fits) balanced_.Allocate(0);
  }

  Span<const int32_t> sums() const { return {sums_.data(), sums_.size()}; }

  BalancedWeights balanced() const { return {{balanced_.data(), balanced_.size()}, sums()}; }

 private:
  Buffer<int32_t> sums_;
  Buffer<uint8_t> balanced_;
};

}  // namespace edgeax
