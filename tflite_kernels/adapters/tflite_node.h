#pragma once  // adapters/tflite_node.h: an operator of a model, and the parts of a call that are
              // checked.

#include "tflite_kernels/adapters/memory.h"
#include "tflite_kernels/adapters/tflite_check.h"
#include "tflite_kernels/adapters/tflite_ops.h"
#include "tflite_kernels/core/op_table.h"

namespace edgeax {
namespace {

// Room for the inputs of any operator, and for its version and options.
constexpr int kInputCount = kSignSumConv2DInputCount;
constexpr int kMaxOptionNumbers = 1 + kBinaryConv2DOptionCount;

constexpr bool AllOperatorsFit() {
  for (const OperatorSpec& spec : kOperatorSpecs) {
    if (spec.input_count > kInputCount || spec.option_count >= kMaxOptionNumbers) return false;
  }
  return true;
}
static_assert(AllOperatorsFit(), "name the largest operators above");

constexpr char kOutputName[] = "output";
constexpr char kScratchName[] = "edgeax_scratch";

// One operator of a model. Init copies what the original node says, unchecked; Prepare checks it.
struct Node {
  const KernelSet* kernels;
  ThreadPool* threads;
  int32_t shares;      // parts that are computed at the same time
  size_t share_bytes;  // scratch of each
  int32_t options[kMaxOptionNumbers];
  int64_t option_bytes;
  // Tensors in the order of the original node: the delegate's own node has them sorted.
  int input_count;
  int inputs[kInputCount];
  int output_count;
  int output;
  int scratch;  // a tensor of the arena, so that all nodes share its memory
  // The files' vectors may lie unaligned: a copy of the bias, and what follows from the scales.
  Buffer<int32_t> bias;
  Buffer<Requantization> requantization;
};

template <typename Op>
struct NodeOf : Node {
  typename Op::Args args;
  typename Op::Storage storage;
};

// The parts of one call that Prepare has checked. `key` is what the weights are read with: their
// codebook, the places of sparse ones, or the gains of signs. Coded weights have no bias, scale and
// key of their own. `steps` is what the input is read with: the thresholds of signs, or points.
struct Operands {
  Operand input, weights, bias, scale, key, steps, output;
};

#define EDGEAX_RETURN_IF_ERROR(expression)     \
  do {                                         \
    const TfLiteStatus status_ = (expression); \
    if (status_ != kTfLiteOk) return status_;  \
  } while (false)

// What the operators' tensors have to look like, once the arguments are known.
struct Wanted {
  int64_t weight_rows, weight_columns;
  int64_t channels;
  int output_rank;
  int64_t output_shape[kMaxRank];
  int64_t depth;  // products of an output
};

// What all operators give to their kernels, but for scratch: that comes with a share of the work.
struct CommonTensors {
  Span<const int8_t> input;
  Span<const int32_t> bias;
  Span<const Requantization> requantization;
  Span<int8_t> output;
};

template <typename T>
Span<const T> BytesOf(const TfLiteTensor& tensor) {
  static_assert(sizeof(T) == 1, "a tensor of the file may lie unaligned");
  return {static_cast<const T*>(DataOf(tensor)), tensor.bytes};
}

}  // namespace
}  // namespace edgeax
