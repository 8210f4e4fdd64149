#include "tflite_kernels/arch/kernels.h"
#include "tflite_kernels/arch/sparse_avx2.h"
#include "tflite_kernels/arch/sparse_fully_connected.h"

namespace edgeax {

Status SparseFullyConnectedAvx2(const SparseFullyConnectedArgs& args,
                                const SparseTensors& tensors) {
  return SparseFullyConnectedOn<SparseAvx2>(args, tensors);
}

Status SparseFullyConnectedScratchBytesAvx2(const SparseFullyConnectedArgs& args, size_t* bytes) {
  return SparseFullyConnectedScratchBytesOn<SparseAvx2>(args, bytes);
}

}  // namespace edgeax
