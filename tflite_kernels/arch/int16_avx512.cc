#include "tflite_kernels/arch/int16_avx512.h"

#include "tflite_kernels/arch/int16_conv2d.h"
#include "tflite_kernels/arch/int16_depthwise_conv2d.h"
#include "tflite_kernels/arch/int16_fully_connected.h"
#include "tflite_kernels/arch/kernels.h"

namespace edgeax {

Status Int16Conv2DAvx512(const Int16Args<Conv2DArgs>& args, const Int16Tensors& tensors) {
  return Int16Conv2DOn<Int16Avx512>(args, tensors);
}

Status Int16Conv2DScratchBytesAvx512(const Int16Args<Conv2DArgs>& args, size_t* bytes) {
  return Int16Conv2DScratchBytesOn<Int16Avx512>(args, bytes);
}

Status Int16DepthwiseConv2DAvx512(const Int16Args<DepthwiseConv2DArgs>& args,
                                  const Int16Tensors& tensors) {
  return Int16DepthwiseConv2DOn(args, tensors);
}

Status Int16DepthwiseConv2DScratchBytesAvx512(const Int16Args<DepthwiseConv2DArgs>& args,
                                              size_t* bytes) {
  return Int16DepthwiseConv2DScratchBytesOn(args, bytes);
}

Status Int16FullyConnectedAvx512(const Int16Args<FullyConnectedArgs>& args,
                                 const Int16Tensors& tensors) {
  return Int16FullyConnectedOn<Int16Avx512>(args, tensors);
}

Status Int16FullyConnectedScratchBytesAvx512(const Int16Args<FullyConnectedArgs>& args,
                                             size_t* bytes) {
  return Int16FullyConnectedScratchBytesOn<Int16Avx512>(args, bytes);
}

Status Int16SparseConv2DAvx512(const Int16Args<SparseConv2DArgs>& args,
                               const Int16SparseTensors& tensors) {
  return Int16SparseConv2DOn<Int16Avx512>(args, tensors);
}

Status Int16SparseConv2DScratchBytesAvx512(const Int16Args<SparseConv2DArgs>& args, size_t* bytes) {
  return Int16Conv2DScratchBytesOn<Int16Avx512>(args, bytes);
}

Status Int16SparseFullyConnectedAvx512(const Int16Args<SparseFullyConnectedArgs>& args,
                                       const Int16SparseTensors& tensors) {
  return Int16SparseFullyConnectedOn<Int16Avx512>(args, tensors);
}

Status Int16SparseFullyConnectedScratchBytesAvx512(const Int16Args<SparseFullyConnectedArgs>& args,
                                                   size_t* bytes) {
  return Int16FullyConnectedScratchBytesOn<Int16Avx512>(args, bytes);
}

}  // namespace edgeax
