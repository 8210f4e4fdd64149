#pragma once  // adapters/tflite_prepare_rows.h: what is made of weights once, for fast kernels.

#include "tflite_kernels/adapters/tflite_coded.h"

namespace edgeax {
namespace {

// What is made of weights once, for the kernels of products that take it.

template <typename Args, typename Storage>
void PrepareRows(const KernelSet&, const Operands&, const Args&, Storage*) {}

void PrepareRows(const KernelSet& set, const Operands& operands,
                 const EitherArgs<FullyConnectedArgs>& args, CodebookStorage* storage) {
  if (!set.takes_weight_sums || args.is_int16) return;  // int16 has no zero point to take off
  storage->prepared.Sum(args.args, BytesOf<uint8_t>(*operands.weights.tensor),
                        BytesOf<int8_t>(*operands.key.tensor));
}

void PrepareRows(const KernelSet& set, const Operands& operands,
                 const EitherArgs<SparseFullyConnectedArgs>& args, SparseStorage* storage) {
  if (!set.takes_balanced || args.is_int16) return;  // no kernel of int16 reads them
  storage->prepared.Balance(args.args, storage->WeightsOf(BytesOf<int8_t>(*operands.weights.tensor),
                                                          BytesOf<uint8_t>(*operands.key.tensor)));
}

// Sparse ones are not balanced: they would lie in memory twice.
void PrepareRows(const KernelSet& set, const Operands&,
                 const CodedArgs<SparseFullyConnectedArgs>& args, CodedStorage* storage) {
  if (!set.takes_weight_sums || args.layout != CodedLayout::kPacked4) return;
  storage->prepared.Sum(args.sparse.fully_connected,
                        {storage->weights.data(), storage->weights.size()},
                        {storage->codebook.data(), storage->codebook.size()});
}

}  // namespace
}  // namespace edgeax
