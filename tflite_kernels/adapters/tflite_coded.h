#pragma once  // adapters/tflite_coded.h: coded weights as the kernels of both of their layouts take
              // them, and what is made of weights once.

#include "tflite_kernels/adapters/tflite_storage.h"

namespace edgeax {
namespace {

// `sparse` but for its format are the arguments of the kernel for packed rows too.
template <typename SparseArgs>
struct CodedArgs {
  CodedLayout layout;
  SparseArgs sparse;
};

const Conv2DArgs& PackedOf(const SparseConv2DArgs& args) { return args.conv2d; }
const FullyConnectedArgs& PackedOf(const SparseFullyConnectedArgs& args) {
  return args.fully_connected;
}

// The kernels for both layouts of coded weights as one.
template <typename PackedArgs, typename SparseArgs>
struct CodedKernel {
  const Kernel<PackedArgs>& packed;
  const Kernel<SparseArgs, SparseTensors>& sparse;

  Status scratch_bytes(const CodedArgs<SparseArgs>& args, size_t* bytes) const {
    return args.layout == CodedLayout::kPacked4 ? packed.scratch_bytes(PackedOf(args.sparse), bytes)
                                                : sparse.scratch_bytes(args.sparse, bytes);
  }

  bool splits(const CodedArgs<SparseArgs>& args) const {
    return args.layout == CodedLayout::kPacked4 ? packed.splits : sparse.splits;
  }

  Status run(const CodedArgs<SparseArgs>& args, const CodedTensors& tensors) const {
    return args.layout == CodedLayout::kPacked4 ? packed.run(PackedOf(args.sparse), tensors.packed)
                                                : sparse.run(args.sparse, tensors.sparse);
  }
};

template <typename Args, typename TensorsOfArgs>
bool Splits(const Kernel<Args, TensorsOfArgs>& kernel, const Args&) {
  return kernel.splits;
}

template <typename PackedArgs, typename SparseArgs>
bool Splits(const CodedKernel<PackedArgs, SparseArgs>& kernel, const CodedArgs<SparseArgs>& args) {
  return kernel.splits(args);
}

template <typename TensorsOfArgs>
void GiveShare(Share share, Span<uint8_t> scratch, TensorsOfArgs* tensors) {
  tensors->share = share;
  tensors->scratch = scratch;
}

void GiveShare(Share share, Span<uint8_t> scratch, CodedTensors* tensors) {
  GiveShare(share, scratch, &tensors->packed);
  GiveShare(share, scratch, &tensors->sparse);
}

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
  storage->prepared.Balance(args.args,
                            storage->WeightsOf(*operands.weights.tensor, *operands.key.tensor));
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
