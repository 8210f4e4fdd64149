#include "tflite_kernels/arch/kernels.h"
#include "tflite_kernels/arch/sparse_conv2d.h"
#include "tflite_kernels/arch/sparse_neon.h"

namespace edgeax {

Status SparseConv2DNeon(const SparseConv2DArgs& args, const SparseTensors& tensors) {
  return SparseConv2DOn<SparseNeon>(args, tensors);
}

Status SparseConv2DScratchBytesNeon(const SparseConv2DArgs& args, size_t* bytes) {
  return SparseConv2DScratchBytesOn<SparseNeon>(args, bytes);
}

}  // namespace edgeax
