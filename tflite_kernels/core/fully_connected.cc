#include "tflite_kernels/core/fully_connected.h"

namespace edgeax {
namespace {

// All but the quantization.
Status CheckSizes(const FullyConnectedArgs& args) {
  const bool fits =
      args.rows >= 1 && args.depth >= 1 && args.depth <= kMaxRowDepth && args.outputs >= 1;
  return fits ? Status::kOk : Status::kBadShape;
}

template <typename Code>
Status CheckSpans(const FullyConnectedArgs& args, const CodeTensors<Code>& tensors) {
  return CheckTensors(tensors, CheckedProduct(args.rows, args.depth), args.outputs, args.depth,
                      args.outputs, CheckedProduct(args.rows, args.outputs));
}

template <typename Code>
Status Run(const FullyConnectedArgs& args, const CodeTensors<Code>& tensors) {
  const int32_t bits = CodeBits(tensors.codebook.size);
  const int32_t row_bytes = PackedBytes(args.depth, bits);
  Code* output = tensors.output.data;
  for (int32_t r = 0; r < args.rows; ++r) {
    const Code* input = tensors.input.data + size_t(r) * args.depth;
    for (int32_t c = 0; c < args.outputs; ++c) {
      const uint8_t* row = tensors.weights.data + size_t(c) * row_bytes;
      Sum<Code> sum = static_cast<Sum<Code>>(tensors.bias.data[c]);
      for (int32_t k = 0; k < args.depth; ++k) {
        const int32_t weight = tensors.codebook.data[Unpack(row, k, bits)];
        sum += static_cast<Sum<Code>>((input[k] - args.quantization.input_zero_point) * weight);
      }
      *output++ = OutputCode(sum, tensors.requantization.data[c], args.quantization);
    }
  }
  return Status::kOk;
}

}  // namespace

Status CheckFullyConnected(const FullyConnectedArgs& args) {
  const Status status = CheckSizes(args);
  return status == Status::kOk ? CheckQuantization(args.quantization) : status;
}

Status CheckFullyConnected(const Int16Args<FullyConnectedArgs>& args) {
  const Status status = CheckSizes(args.args);
  return status == Status::kOk ? CheckInt16Quantization(args.args.quantization) : status;
}

Status CheckFullyConnected(const FullyConnectedArgs& args, const Tensors& tensors) {
  const Status status = CheckFullyConnected(args);
  return status == Status::kOk ? CheckSpans(args, tensors) : status;
}

Status CheckFullyConnected(const Int16Args<FullyConnectedArgs>& args, const Int16Tensors& tensors) {
  const Status status = CheckFullyConnected(args);
  return status == Status::kOk ? CheckSpans(args.args, tensors) : status;
}

Status FullyConnected(const FullyConnectedArgs& args, const Tensors& tensors) {
  const Status status = CheckFullyConnected(args, tensors);
  return status == Status::kOk ? Run(args, tensors) : status;
}

Status FullyConnected(const Int16Args<FullyConnectedArgs>& args, const Int16Tensors& tensors) {
  const Status status = CheckFullyConnected(args, tensors);
  return status == Status::kOk ? Run(args.args, tensors) : status;
}

}  // namespace edgeax
