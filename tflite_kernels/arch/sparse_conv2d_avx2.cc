#include "tflite_kernels/arch/kernels.h"
#include "tflite_kernels/arch/sparse_avx2.h"
#include "tflite_kernels/arch/sparse_conv2d.h"

namespace edgeax {

Status SparseConv2DAvx2(const SparseConv2DArgs& args, const SparseTensors& tensors) {
  return SparseConv2DOn<SparseAvx2>(args, tensors);
}

Status SparseConv2DScratchBytesAvx2(const SparseConv2DArgs& args, size_t* bytes) {
  return SparseConv2DScratchBytesOn<SparseAvx2>(args, bytes);
}

}  // namespace edgeax
