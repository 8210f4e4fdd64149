#include "tflite_kernels/arch/kernels.h"
#include "tflite_kernels/arch/sparse_avx512.h"
#include "tflite_kernels/arch/sparse_fully_connected.h"

namespace edgeax {

Status SparseFullyConnectedAvx512(const SparseFullyConnectedArgs& args,
                                  const SparseTensors& tensors) {
  return SparseFullyConnectedOn<SparseAvx512>(args, tensors);
}

Status SparseFullyConnectedScratchBytesAvx512(const SparseFullyConnectedArgs& args, size_t* bytes) {
  return SparseFullyConnectedScratchBytesOn<SparseAvx512>(args, bytes);
}

}  // namespace edgeax
