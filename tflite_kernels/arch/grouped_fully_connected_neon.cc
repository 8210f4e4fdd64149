#include "tflite_kernels/arch/grouped_fully_connected.h"
#include "tflite_kernels/arch/grouped_neon.h"
#include "tflite_kernels/arch/kernels.h"

namespace edgeax {

Status GroupedFullyConnectedNeon(const GroupedFullyConnectedArgs& args, const Tensors& tensors) {
  return GroupedFullyConnectedOn<GroupedNeon>(args, tensors);
}

Status GroupedFullyConnectedScratchBytesNeon(const GroupedFullyConnectedArgs& args, size_t* bytes) {
  return GroupedFullyConnectedScratchBytesOn<GroupedNeon>(args, bytes);
}

}  // namespace edgeax
