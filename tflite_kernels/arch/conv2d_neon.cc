#include "tflite_kernels/arch/conv2d.h"
#include "tflite_kernels/arch/kernels.h"
#include "tflite_kernels/arch/neon.h"

namespace edgeax {

Status Conv2DNeon(const Conv2DArgs& args, const Tensors& tensors) {
  return Conv2DOn<Neon>(args, tensors);
}

Status Conv2DScratchBytesNeon(const Conv2DArgs& args, size_t* bytes) {
  return Conv2DScratchBytesOn<Neon>(args, bytes);
}

}  // namespace edgeax
