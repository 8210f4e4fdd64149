#include "tflite_kernels/arch/grouped_avx2.h"
#include "tflite_kernels/arch/grouped_conv2d.h"
#include "tflite_kernels/arch/kernels.h"

namespace edgeax {

Status GroupedConv2DAvx2(const GroupedConv2DArgs& args, const Tensors& tensors) {
  return GroupedConv2DOn<GroupedAvx2>(args, tensors);
}

Status GroupedConv2DScratchBytesAvx2(const GroupedConv2DArgs& args, size_t* bytes) {
  return GroupedConv2DScratchBytesOn<GroupedAvx2>(args, bytes);
}

}  // namespace edgeax
