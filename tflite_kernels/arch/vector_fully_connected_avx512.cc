#include "tflite_kernels/arch/kernels.h"
#include "tflite_kernels/arch/lookup_avx512.h"
#include "tflite_kernels/arch/vector_fully_connected.h"

namespace edgeax {

Status VectorFullyConnectedAvx512(const VectorFullyConnectedArgs& args,
                                  const VectorTensors& tensors) {
  return VectorFullyConnectedOn<Avx512, LookupAvx512>(args, tensors);
}

Status VectorFullyConnectedScratchBytesAvx512(const VectorFullyConnectedArgs& args, size_t* bytes) {
  return VectorFullyConnectedScratchBytesOn<Avx512, LookupAvx512>(args, bytes);
}

}  // namespace edgeax
