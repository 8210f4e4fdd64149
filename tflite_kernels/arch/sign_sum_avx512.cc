#include "tflite_kernels/arch/binary_avx512.h"
#include "tflite_kernels/arch/finish_avx512.h"
#include "tflite_kernels/arch/kernels.h"
#include "tflite_kernels/arch/sign_sum.h"

namespace edgeax {

Status SignSumAvx512(const SignSumArgs& args, const SignSumTensors& tensors) {
  return SignSumOn<BinaryAvx512, FinishAvx512, 32>(args, tensors);
}

Status SignSumScratchBytesAvx512(const SignSumArgs& args, size_t* bytes) {
  return SignSumScratchBytesOn<BinaryAvx512>(args, bytes);
}

}  // namespace edgeax
