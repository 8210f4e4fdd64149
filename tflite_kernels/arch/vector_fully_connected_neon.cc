#include "tflite_kernels/arch/kernels.h"
#include "tflite_kernels/arch/lookup_neon.h"
#include "tflite_kernels/arch/neon.h"
#include "tflite_kernels/arch/vector_fully_connected.h"

namespace edgeax {

Status VectorFullyConnectedNeon(const VectorFullyConnectedArgs& args,
                                const VectorTensors& tensors) {
  return VectorFullyConnectedOn<Neon, LookupNeonPlain>(args, tensors);
}

Status VectorFullyConnectedScratchBytesNeon(const VectorFullyConnectedArgs& args, size_t* bytes) {
  return VectorFullyConnectedScratchBytesOn<Neon, LookupNeonPlain>(args, bytes);
}

}  // namespace edgeax
