#include "tflite_kernels/adapters/tflm/edgeax_ops.h"

#include "tflite_kernels/adapters/tflm/node.h"

namespace edgeax {
namespace tflm {

const TFLMRegistration* Register_EDGEAX_CONV_2D() { return &kRegistration<Conv2DOp>; }
const TFLMRegistration* Register_EDGEAX_DEPTHWISE_CONV_2D() {
  return &kRegistration<DepthwiseConv2DOp>;
}
const TFLMRegistration* Register_EDGEAX_FULLY_CONNECTED() {
  return &kRegistration<FullyConnectedOp>;
}
const TFLMRegistration* Register_EDGEAX_SPARSE_CONV_2D() { return &kRegistration<SparseConv2DOp>; }
const TFLMRegistration* Register_EDGEAX_SPARSE_FULLY_CONNECTED() {
  return &kRegistration<SparseFullyConnectedOp>;
}
const TFLMRegistration* Register_EDGEAX_CODED_CONV_2D() { return &kRegistration<CodedConv2DOp>; }
const TFLMRegistration* Register_EDGEAX_CODED_FULLY_CONNECTED() {
  return &kRegistration<CodedFullyConnectedOp>;
}
const TFLMRegistration* Register_EDGEAX_BINARY_CONV_2D() { return &kRegistration<BinaryConv2DOp>; }
const TFLMRegistration* Register_EDGEAX_BINARY_FULLY_CONNECTED() {
  return &kRegistration<BinaryFullyConnectedOp>;
}
const TFLMRegistration* Register_EDGEAX_BINARY_MAX_POOL_2D() {
  return &kRegistration<BinaryMaxPool2DOp>;
}
const TFLMRegistration* Register_EDGEAX_FLOAT_FULLY_CONNECTED() {
  return &kRegistration<FloatFullyConnectedOp>;
}
const TFLMRegistration* Register_EDGEAX_SIGN_SUM_CONV_2D() {
  return &kRegistration<SignSumConv2DOp>;
}
const TFLMRegistration* Register_EDGEAX_SIGN_SUM_FULLY_CONNECTED() {
  return &kRegistration<SignSumFullyConnectedOp>;
}
const TFLMRegistration* Register_EDGEAX_VECTOR_CONV_2D() { return &kRegistration<VectorConv2DOp>; }
const TFLMRegistration* Register_EDGEAX_VECTOR_FULLY_CONNECTED() {
  return &kRegistration<VectorFullyConnectedOp>;
}
const TFLMRegistration* Register_EDGEAX_GROUPED_CONV_2D() {
  return &kRegistration<GroupedConv2DOp>;
}
const TFLMRegistration* Register_EDGEAX_GROUPED_FULLY_CONNECTED() {
  return &kRegistration<GroupedFullyConnectedOp>;
}
const TFLMRegistration* Register_EDGEAX_LOOKUP_CONV_2D() { return &kRegistration<LookupConv2DOp>; }
const TFLMRegistration* Register_EDGEAX_LOOKUP_FULLY_CONNECTED() {
  return &kRegistration<LookupFullyConnectedOp>;
}

}  // namespace tflm
}  // namespace edgeax
