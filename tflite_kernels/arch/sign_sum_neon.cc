#include "tflite_kernels/arch/binary_neon.h"
#include "tflite_kernels/arch/kernels.h"
#include "tflite_kernels/arch/neon_finish.h"
#include "tflite_kernels/arch/sign_sum.h"

namespace edgeax {

Status SignSumNeon(const SignSumArgs& args, const SignSumTensors& tensors) {
  return SignSumOn<BinaryNeon, FinishNeon<8>, 8>(args, tensors);
}

Status SignSumScratchBytesNeon(const SignSumArgs& args, size_t* bytes) {
  return SignSumScratchBytesOn<BinaryNeon>(args, bytes);
}

}  // namespace edgeax
