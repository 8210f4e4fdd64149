#include "tflite_kernels/core/binary_fully_connected.h"

namespace edgeax {

Status CheckBinaryFullyConnected(const BinaryFullyConnectedArgs& args) {
  const Status form = CheckBinaryForm(args.form);
  return form == Status::kOk ? CheckFullyConnected(args.fully_connected) : form;
}

Status CheckBinaryFullyConnected(const BinaryFullyConnectedArgs& args,
                                 const BinaryTensors& tensors) {
  const Status status = CheckBinaryFullyConnected(args);
  if (status != Status::kOk) return status;
  const FullyConnectedArgs& shape = args.fully_connected;
  return CheckBinaryTensors(
      tensors, CheckedProduct(shape.rows, BinaryBytes(args.form.input_packed, shape.depth)),
      CheckedProduct(shape.outputs, PackedBytes(shape.depth, 1)), shape.outputs,
      CheckedProduct(shape.rows, BinaryBytes(args.form.output_packed, shape.outputs)));
}

Status BinaryFullyConnected(const BinaryFullyConnectedArgs& args, const BinaryTensors& tensors) {
  const Status status = CheckBinaryFullyConnected(args, tensors);
  if (status != Status::kOk) return status;
  const FullyConnectedArgs& shape = args.fully_connected;
  const int8_t* input = tensors.input.data;
  int8_t* output = tensors.output.data;
  for (int32_t r = 0; r < shape.rows; ++r) {
    const uint8_t* row = tensors.weights.data;
    for (int32_t c = 0; c < shape.outputs; ++c, row += PackedBytes(shape.depth, 1)) {
      int32_t sum = 0;
      for (int32_t k = 0; k < shape.depth; ++k) {
        sum += BinaryInput(input, k, args.form, shape.quantization) == Unpack(row, k, 1) ? 1 : -1;
      }
      StoreBinary(sum, c, tensors, args.form, shape.quantization, output);
    }
    input += BinaryBytes(args.form.input_packed, shape.depth);
    output += BinaryBytes(args.form.output_packed, shape.outputs);
  }
  return Status::kOk;
}

}  // namespace edgeax
