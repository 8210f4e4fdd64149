#include "tflite_kernels/core/vector_fully_connected.h"

namespace edgeax {

Status CheckVectorFullyConnected(const VectorFullyConnectedArgs& args) {
  const Status status = CheckFullyConnected(args.fully_connected);
  return status == Status::kOk ? CheckVectorFormat(args.format, args.fully_connected.depth)
                               : status;
}

Status CheckVectorFullyConnected(const VectorFullyConnectedArgs& args,
                                 const VectorTensors& tensors) {
  const Status status = CheckVectorFullyConnected(args);
  if (status != Status::kOk) return status;
  const FullyConnectedArgs& sizes = args.fully_connected;
  return CheckVectorTensors(args.format, tensors, CheckedProduct(sizes.rows, sizes.depth),
                            sizes.depth, sizes.outputs, CheckedProduct(sizes.rows, sizes.outputs));
}

Status VectorFullyConnected(const VectorFullyConnectedArgs& args, const VectorTensors& tensors) {
  const Status status = CheckVectorFullyConnected(args, tensors);
  if (status != Status::kOk) return status;
  const FullyConnectedArgs& sizes = args.fully_connected;
  const Quantization& quantization = sizes.quantization;
  int8_t* output = tensors.output.data;
  for (int32_t r = 0; r < sizes.rows; ++r) {
    const int8_t* input = tensors.input.data + static_cast<size_t>(r) * sizes.depth;
    for (int32_t c = 0; c < sizes.outputs; ++c) {
      uint32_t sum = static_cast<uint32_t>(tensors.bias.data[c]);
      for (int32_t k = 0; k < sizes.depth; ++k) {
        const int32_t weight = VectorWeight(args.format, tensors, sizes.depth, sizes.outputs, c, k);
        sum += static_cast<uint32_t>((input[k] - quantization.input_zero_point) * weight);
      }
      *output++ = OutputCode(sum, tensors.requantization.data[c], quantization);
    }
  }
  return Status::kOk;
}

}  // namespace edgeax
