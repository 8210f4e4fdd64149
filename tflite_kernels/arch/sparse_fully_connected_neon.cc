#include "tflite_kernels/arch/kernels.h"
#include "tflite_kernels/arch/sparse_fully_connected.h"
#include "tflite_kernels/arch/sparse_neon.h"

namespace edgeax {

Status SparseFullyConnectedNeon(const SparseFullyConnectedArgs& args,
                                const SparseTensors& tensors) {
  return SparseFullyConnectedOn<SparseNeon>(args, tensors);
}

Status SparseFullyConnectedScratchBytesNeon(const SparseFullyConnectedArgs& args, size_t* bytes) {
  return SparseFullyConnectedScratchBytesOn<SparseNeon>(args, bytes);
}

}  // namespace edgeax
