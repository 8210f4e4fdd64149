#include "tflite_kernels/arch/grouped_conv2d.h"
#include "tflite_kernels/arch/grouped_neon_dotprod.h"
#include "tflite_kernels/arch/kernels.h"

namespace edgeax {

Status GroupedConv2DNeonDotprod(const GroupedConv2DArgs& args, const Tensors& tensors) {
  return GroupedConv2DOn<GroupedNeonDotprod>(args, tensors);
}

Status GroupedConv2DScratchBytesNeonDotprod(const GroupedConv2DArgs& args, size_t* bytes) {
  return GroupedConv2DScratchBytesOn<GroupedNeonDotprod>(args, bytes);
}

}  // namespace edgeax
