#include "tflite_kernels/arch/grouped_conv2d.h"
#include "tflite_kernels/arch/grouped_neon.h"
#include "tflite_kernels/arch/kernels.h"

namespace edgeax {

Status GroupedConv2DNeon(const GroupedConv2DArgs& args, const Tensors& tensors) {
  return GroupedConv2DOn<GroupedNeon>(args, tensors);
}

Status GroupedConv2DScratchBytesNeon(const GroupedConv2DArgs& args, size_t* bytes) {
  return GroupedConv2DScratchBytesOn<GroupedNeon>(args, bytes);
}

}  // namespace edgeax
