#include "tflite_kernels/arch/kernels.h"
#include "tflite_kernels/arch/sparse_conv2d.h"
#include "tflite_kernels/arch/sparse_neon_dotprod.h"

namespace edgeax {

Status SparseConv2DNeonDotprod(const SparseConv2DArgs& args, const SparseTensors& tensors) {
  return SparseConv2DOn<SparseNeonDotprod>(args, tensors);
}

Status SparseConv2DScratchBytesNeonDotprod(const SparseConv2DArgs& args, size_t* bytes) {
  return SparseConv2DScratchBytesOn<SparseNeonDotprod>(args, bytes);
}

}  // namespace edgeax
