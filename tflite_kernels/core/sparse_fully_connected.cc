#include "tflite_kernels/core/sparse_fully_connected.h"

namespace edgeax {
namespace {

// Sum of the products of one vector with one row of weights.
template <typename Code>
Sum<Code> SumOf(const SparseFullyConnectedArgs& args, const SparseCodeTensors<Code>& tensors,
                const Code* input, int32_t output) {
  const int32_t depth = args.fully_connected.depth;
  const int32_t zero_point = args.fully_connected.quantization.input_zero_point;
  const int8_t* values = tensors.weights.values.data + tensors.weights.starts.data[output].value;
  SparseCursor row = SparseRow(args.format, depth, tensors.weights, output);
  Sum<Code> sum = static_cast<Sum<Code>>(tensors.bias.data[output]);
  for (; NextPlace(&row); values += args.format.block) {
    const int32_t first = row.place * args.format.block;
    const int32_t left_over = depth - first;
    const int32_t count = left_over < args.format.block ? left_over : args.format.block;
    for (int32_t k = 0; k < count; ++k) {
      sum += static_cast<Sum<Code>>((input[first + k] - zero_point) * values[k]);
    }
  }
  return sum;
}

template <typename Code>
Status CheckSpans(const SparseFullyConnectedArgs& args, const SparseCodeTensors<Code>& tensors) {
  const FullyConnectedArgs& sizes = args.fully_connected;
  return CheckSparseTensors(tensors, CheckedProduct(sizes.rows, sizes.depth), sizes.outputs,
                            CheckedProduct(sizes.rows, sizes.outputs));
}

template <typename Code>
Status Run(const SparseFullyConnectedArgs& args, const SparseCodeTensors<Code>& tensors) {
  const FullyConnectedArgs& sizes = args.fully_connected;
  Code* output = tensors.output.data;
  for (int32_t r = 0; r < sizes.rows; ++r) {
    const Code* input = tensors.input.data + size_t(r) * sizes.depth;
    for (int32_t c = 0; c < sizes.outputs; ++c) {
      const Sum<Code> sum = SumOf(args, tensors, input, c);
      *output++ = OutputCode(sum, tensors.requantization.data[c], sizes.quantization);
    }
  }
  return Status::kOk;
}

}  // namespace

Status CheckSparseFullyConnected(const SparseFullyConnectedArgs& args) {
  const Status format = CheckSparseFormat(args.format);
  return format == Status::kOk ? CheckFullyConnected(args.fully_connected) : format;
}

Status CheckSparseFullyConnected(const Int16Args<SparseFullyConnectedArgs>& args) {
  const Status format = CheckSparseFormat(args.args.format);
  return format == Status::kOk
             ? CheckFullyConnected(Int16Args<FullyConnectedArgs>{args.args.fully_connected})
             : format;
}

Status CheckSparseFullyConnected(const SparseFullyConnectedArgs& args,
                                 const SparseTensors& tensors) {
  const Status status = CheckSparseFullyConnected(args);
  return status == Status::kOk ? CheckSpans(args, tensors) : status;
}

Status CheckSparseFullyConnected(const Int16Args<SparseFullyConnectedArgs>& args,
                                 const Int16SparseTensors& tensors) {
  const Status status = CheckSparseFullyConnected(args);
  return status == Status::kOk ? CheckSpans(args.args, tensors) : status;
}

Status SparseFullyConnected(const SparseFullyConnectedArgs& args, const SparseTensors& tensors) {
  const Status status = CheckSparseFullyConnected(args, tensors);
  return status == Status::kOk ? Run(args, tensors) : status;
}

Status SparseFullyConnected(const Int16Args<SparseFullyConnectedArgs>& args,
                            const Int16SparseTensors& tensors) {
  const Status status = CheckSparseFullyConnected(args, tensors);
  return status == Status::kOk ? Run(args.args, tensors) : status;
}

}  // namespace edgeax
