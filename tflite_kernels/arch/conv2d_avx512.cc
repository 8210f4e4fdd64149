#include "tflite_kernels/arch/avx512.h"
#include "tflite_kernels/arch/conv2d.h"
#include "tflite_kernels/arch/kernels.h"

namespace edgeax {

Status Conv2DAvx512(const Conv2DArgs& args, const Tensors& tensors) {
  return Conv2DOn<Avx512>(args, tensors);
}

Status Conv2DScratchBytesAvx512(const Conv2DArgs& args, size_t* bytes) {
  return Conv2DScratchBytesOn<Avx512>(args, bytes);
}

}  // namespace edgeax
