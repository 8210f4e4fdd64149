#include "tflite_kernels/arch/kernels.h"
#include "tflite_kernels/arch/lookup_avx2.h"
#include "tflite_kernels/arch/vector_fully_connected.h"

namespace edgeax {

Status VectorFullyConnectedAvx2(const VectorFullyConnectedArgs& args,
                                const VectorTensors& tensors) {
  return VectorFullyConnectedOn<Avx2, LookupAvx2>(args, tensors);
}

Status VectorFullyConnectedScratchBytesAvx2(const VectorFullyConnectedArgs& args, size_t* bytes) {
  return VectorFullyConnectedScratchBytesOn<Avx2, LookupAvx2>(args, bytes);
}

}  // namespace edgeax
