#include "tflite_kernels/arch/grouped_avx512.h"
#include "tflite_kernels/arch/grouped_fully_connected.h"
#include "tflite_kernels/arch/kernels.h"

namespace edgeax {

Status GroupedFullyConnectedAvx512(const GroupedFullyConnectedArgs& args, const Tensors& tensors) {
  return GroupedFullyConnectedOn<GroupedAvx512>(args, tensors);
}

Status GroupedFullyConnectedScratchBytesAvx512(const GroupedFullyConnectedArgs& args,
                                               size_t* bytes) {
  return GroupedFullyConnectedScratchBytesOn<GroupedAvx512>(args, bytes);
}

}  // namespace edgeax
