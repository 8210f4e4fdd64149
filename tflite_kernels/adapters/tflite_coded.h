#pragma once  // adapters/tflite_coded.h: coded weights as the kernels of both of their layouts take
              // them.

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

void GiveShare(Share share, Span<uint8_t> scratch, CodedTensors* tensors) {
  GiveShare(share, scratch, &tensors->packed);
  GiveShare(share, scratch, &tensors->sparse);
}

}  // namespace
}  // namespace edgeax
