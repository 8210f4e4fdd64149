#include "tflite_kernels/arch/int16_neon.h"

#include "tflite_kernels/arch/int16_conv2d.h"
#include "tflite_kernels/arch/int16_depthwise_conv2d.h"
#include "tflite_kernels/arch/int16_fully_connected.h"
#include "tflite_kernels/arch/kernels.h"

namespace edgeax {

Status Int16Conv2DNeon(const Int16Args<Conv2DArgs>& args, const Int16Tensors& tensors) {
  return Int16Conv2DOn<Int16Neon>(args, tensors);
}

Status Int16Conv2DScratchBytesNeon(const Int16Args<Conv2DArgs>& args, size_t* bytes) {
  return Int16Conv2DScratchBytesOn<Int16Neon>(args, bytes);
}

Status Int16DepthwiseConv2DNeon(const Int16Args<DepthwiseConv2DArgs>& args,
                                const Int16Tensors& tensors) {
  return Int16DepthwiseConv2DOn(args, tensors);
}

Status Int16DepthwiseConv2DScratchBytesNeon(const Int16Args<DepthwiseConv2DArgs>& args,
                                            size_t* bytes) {
  return Int16DepthwiseConv2DScratchBytesOn(args, bytes);
}

Status Int16FullyConnectedNeon(const Int16Args<FullyConnectedArgs>& args,
                               const Int16Tensors& tensors) {
  return Int16FullyConnectedOn<Int16Neon>(args, tensors);
}

Status Int16FullyConnectedScratchBytesNeon(const Int16Args<FullyConnectedArgs>& args,
                                           size_t* bytes) {
  return Int16FullyConnectedScratchBytesOn<Int16Neon>(args, bytes);
}

Status Int16SparseConv2DNeon(const Int16Args<SparseConv2DArgs>& args,
                             const Int16SparseTensors& tensors) {
  return Int16SparseConv2DOn<Int16Neon>(args, tensors);
}

Status Int16SparseConv2DScratchBytesNeon(const Int16Args<SparseConv2DArgs>& args, size_t* bytes) {
  return Int16Conv2DScratchBytesOn<Int16Neon>(args, bytes);
}

Status Int16SparseFullyConnectedNeon(const Int16Args<SparseFullyConnectedArgs>& args,
                                     const Int16SparseTensors& tensors) {
  return Int16SparseFullyConnectedOn<Int16Neon>(args, tensors);
}

Status Int16SparseFullyConnectedScratchBytesNeon(const Int16Args<SparseFullyConnectedArgs>& args,
                                                 size_t* bytes) {
  return Int16FullyConnectedScratchBytesOn<Int16Neon>(args, bytes);
}

}  // namespace edgeax
