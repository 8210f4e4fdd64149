#include "tflite_kernels/arch/avx2.h"
#include "tflite_kernels/arch/conv2d.h"
#include "tflite_kernels/arch/kernels.h"

namespace edgeax {

Status Conv2DAvx2(const Conv2DArgs& args, const Tensors& tensors) {
  return Conv2DOn<Avx2>(args, tensors);
}

Status Conv2DScratchBytesAvx2(const Conv2DArgs& args, size_t* bytes) {
  return Conv2DScratchBytesOn<Avx2>(args, bytes);
}

}  // namespace edgeax
