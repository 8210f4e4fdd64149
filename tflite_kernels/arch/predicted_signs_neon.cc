#include "tflite_kernels/arch/kernels.h"
#include "tflite_kernels/arch/signs_neon.h"

namespace edgeax {

Status PredictedSignsNeon(const PredictedSignsArgs& args, const SignTensors& tensors) {
  return PredictedSignsOn<SignsNeon>(args, tensors);
}

Status PredictedSignsScratchBytesNeon(const PredictedSignsArgs& args, size_t* bytes) {
  return PredictedSignsScratchBytesOn<SignsNeon>(args, bytes);
}

}  // namespace edgeax
