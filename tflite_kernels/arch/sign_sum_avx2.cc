#include "tflite_kernels/arch/binary_avx2.h"
#include "tflite_kernels/arch/kernels.h"
#include "tflite_kernels/arch/sign_sum.h"

namespace edgeax {

Status SignSumAvx2(const SignSumArgs& args, const SignSumTensors& tensors) {
  return SignSumOn<BinaryAvx2, FinishAvx2, 16>(args, tensors);
}

Status SignSumScratchBytesAvx2(const SignSumArgs& args, size_t* bytes) {
  return SignSumScratchBytesOn<BinaryAvx2>(args, bytes);
}

}  // namespace edgeax
