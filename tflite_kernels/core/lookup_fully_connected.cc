#include "tflite_kernels/core/lookup_fully_connected.h"

namespace edgeax {

Status CheckLookup(const LookupFullyConnectedArgs& args) {
  return CheckGroupedFullyConnected(GroupedOf(args));
}

Status CheckLookup(const LookupFullyConnectedArgs& args, const LookupTensors& tensors) {
  const Status status = CheckLookup(args);
  if (status != Status::kOk) return status;
  const FullyConnectedArgs& sizes = args.fully_connected;
  return CheckLookupTensors(tensors, args.bits, CheckedProduct(sizes.rows, sizes.depth),
                            sizes.outputs, sizes.depth, CheckedProduct(sizes.rows, sizes.outputs));
}

Status LookupFullyConnected(const LookupFullyConnectedArgs& args, const LookupTensors& tensors) {
  const Status status = CheckLookup(args, tensors);
  if (status != Status::kOk) return status;
  const FullyConnectedArgs& sizes = args.fully_connected;
  int8_t* output = tensors.output.data;
  for (int32_t r = 0; r < sizes.rows; ++r) {
    const int8_t* input = tensors.input.data + size_t(r) * sizes.depth;
    for (int32_t c = 0; c < sizes.outputs; ++c) {
      uint32_t sum = static_cast<uint32_t>(tensors.bias.data[c]);
      for (int32_t k = 0; k < sizes.depth; ++k) {
        sum +=
            static_cast<uint32_t>(LookupProduct(tensors, args.bits, sizes.depth, c, k, input[k]));
      }
      *output++ = OutputCode(sum, tensors.requantization.data[c], sizes.quantization);
    }
  }
  return Status::kOk;
}

}  // namespace edgeax
