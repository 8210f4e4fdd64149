#include "tflite_kernels/arch/grouped_avx2.h"
#include "tflite_kernels/arch/grouped_fully_connected.h"
#include "tflite_kernels/arch/kernels.h"

namespace edgeax {

Status GroupedFullyConnectedAvx2(const GroupedFullyConnectedArgs& args, const Tensors& tensors) {
  return GroupedFullyConnectedOn<GroupedAvx2>(args, tensors);
}

Status GroupedFullyConnectedScratchBytesAvx2(const GroupedFullyConnectedArgs& args, size_t* bytes) {
  return GroupedFullyConnectedScratchBytesOn<GroupedAvx2>(args, bytes);
}

}  // namespace edgeax
