#include "tflite_kernels/arch/grouped_avx512.h"
#include "tflite_kernels/arch/grouped_conv2d.h"
#include "tflite_kernels/arch/kernels.h"

namespace edgeax {

Status GroupedConv2DAvx512(const GroupedConv2DArgs& args, const Tensors& tensors) {
  return GroupedConv2DOn<GroupedAvx512>(args, tensors);
}

Status GroupedConv2DScratchBytesAvx512(const GroupedConv2DArgs& args, size_t* bytes) {
  return GroupedConv2DScratchBytesOn<GroupedAvx512>(args, bytes);
}

}  // namespace edgeax
