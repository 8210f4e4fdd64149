#include "tflite_kernels/core/fully_connected.h"

namespace edgeax {

Status CheckFullyConnected(const FullyConnectedArgs& args) {
  if (args.rows < 1 || args.depth < 1 || args.depth > kMaxRowDepth || args.outputs < 1) {
    return Status::kBadShape;
  }
  return CheckQuantization(args.quantization);
}

Status CheckFullyConnected(const FullyConnectedArgs& args, const Tensors& tensors) {
  const Status status = CheckFullyConnected(args);
  if (status != Status::kOk) return status;
  return CheckTensors(tensors, CheckedProduct(args.rows, args.depth), args.outputs, args.depth,
                      args.outputs, CheckedProduct(args.rows, args.outputs));
}

Status FullyConnected(const FullyConnectedArgs& args, const Tensors& tensors) {
  const Status status = CheckFullyConnected(args, tensors);
  if (status != Status::kOk) return status;
  const int32_t bits = CodeBits(tensors.codebook.size);
  const int32_t row_bytes = PackedBytes(args.depth, bits);
  int8_t* output = tensors.output.data;
  for (int32_t r = 0; r < args.rows; ++r) {
    const int8_t* input = tensors.input.data + size_t(r) * args.depth;
    for (int32_t c = 0; c < args.outputs; ++c) {
      const uint8_t* row = tensors.weights.data + size_t(c) * row_bytes;
      uint32_t sum = static_cast<uint32_t>(tensors.bias.data[c]);
      for (int32_t k = 0; k < args.depth; ++k) {
        const int32_t weight = tensors.codebook.data[Unpack(row, k, bits)];
        sum += static_cast<uint32_t>((input[k] - args.quantization.input_zero_point) * weight);
      }
      *output++ = OutputCode(sum, tensors.requantization.data[c], args.quantization);
    }
  }
  return Status::kOk;
}

}  // namespace edgeax
