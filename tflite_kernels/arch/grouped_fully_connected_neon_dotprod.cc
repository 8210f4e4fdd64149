#include "tflite_kernels/arch/grouped_fully_connected.h"
#include "tflite_kernels/arch/grouped_neon_dotprod.h"
#include "tflite_kernels/arch/kernels.h"

namespace edgeax {

Status GroupedFullyConnectedNeonDotprod(const GroupedFullyConnectedArgs& args,
                                        const Tensors& tensors) {
  return GroupedFullyConnectedOn<GroupedNeonDotprod>(args, tensors);
}

Status GroupedFullyConnectedScratchBytesNeonDotprod(const GroupedFullyConnectedArgs& args,
                                                    size_t* bytes) {
  return GroupedFullyConnectedScratchBytesOn<GroupedNeonDotprod>(args, bytes);
}

}  // namespace edgeax
