#include "tflite_kernels/arch/conv2d.h"
#include "tflite_kernels/arch/kernels.h"
#include "tflite_kernels/arch/neon_dotprod.h"

namespace edgeax {

Status Conv2DNeonDotprod(const Conv2DArgs& args, const Tensors& tensors) {
  return Conv2DOn<NeonDotprod>(args, tensors);
}

Status Conv2DScratchBytesNeonDotprod(const Conv2DArgs& args, size_t* bytes) {
  return Conv2DScratchBytesOn<NeonDotprod>(args, bytes);
}

}  // namespace edgeax
