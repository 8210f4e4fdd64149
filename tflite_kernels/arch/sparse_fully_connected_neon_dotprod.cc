#include "tflite_kernels/arch/kernels.h"
#include "tflite_kernels/arch/sparse_fully_connected.h"
#include "tflite_kernels/arch/sparse_neon_dotprod.h"

namespace edgeax {

Status SparseFullyConnectedNeonDotprod(const SparseFullyConnectedArgs& args,
                                       const SparseTensors& tensors) {
  return SparseFullyConnectedOn<SparseNeonDotprod>(args, tensors);
}

Status SparseFullyConnectedScratchBytesNeonDotprod(const SparseFullyConnectedArgs& args,
                                                   size_t* bytes) {
  return SparseFullyConnectedScratchBytesOn<SparseNeonDotprod>(args, bytes);
}

}  // namespace edgeax
