#include "tflite_kernels/core/grouped_fully_connected.h"

namespace edgeax {

Status CheckGroupedFullyConnected(const GroupedFullyConnectedArgs& args) {
  const Status status = CheckFullyConnected(args.fully_connected);
  return status == Status::kOk ? CheckGroupedFormat(args.format) : status;
}

Status CheckGroupedFullyConnected(const GroupedFullyConnectedArgs& args, const Tensors& tensors) {
  const Status status = CheckGroupedFullyConnected(args);
  if (status != Status::kOk) return status;
  const FullyConnectedArgs& sizes = args.fully_connected;
  return CheckGroupedTensors(tensors, args.format, CheckedProduct(sizes.rows, sizes.depth),
                             sizes.outputs, sizes.depth, CheckedProduct(sizes.rows, sizes.outputs));
}

Status GroupedFullyConnected(const GroupedFullyConnectedArgs& args, const Tensors& tensors) {
  const Status status = CheckGroupedFullyConnected(args, tensors);
  if (status != Status::kOk) return status;
  const FullyConnectedArgs& sizes = args.fully_connected;
  const int32_t row_bytes = GroupedRowBytes(args.format, sizes.depth);
  int8_t* output = tensors.output.data;
  for (int32_t r = 0; r < sizes.rows; ++r) {
    const int8_t* input = tensors.input.data + size_t(r) * sizes.depth;
    for (int32_t c = 0; c < sizes.outputs; ++c) {
      const uint8_t* row = tensors.weights.data + size_t(c) * row_bytes;
      uint32_t sum = static_cast<uint32_t>(tensors.bias.data[c]);
      for (int32_t k = 0; k < sizes.depth; ++k) {
        const int32_t weight = GroupedWeight(tensors, args.format, row, sizes.depth, k);
        sum += static_cast<uint32_t>((input[k] - sizes.quantization.input_zero_point) * weight);
      }
      *output++ = OutputCode(sum, tensors.requantization.data[c], sizes.quantization);
    }
  }
  return Status::kOk;
}

}  // namespace edgeax
