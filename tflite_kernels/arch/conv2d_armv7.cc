#include "tflite_kernels/arch/armv7.h"
#include "tflite_kernels/arch/conv2d.h"
#include "tflite_kernels/arch/kernels.h"

namespace edgeax {

Status Conv2DArmv7(const Conv2DArgs& args, const Tensors& tensors) {
  return Conv2DOn<Armv7>(args, tensors);
}

Status Conv2DScratchBytesArmv7(const Conv2DArgs& args, size_t* bytes) {
  return Conv2DScratchBytesOn<Armv7>(args, bytes);
}

}  // namespace edgeax
