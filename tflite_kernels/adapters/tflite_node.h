#pragma once  // adapters/tflite_node.h: an operator of a model in TensorFlow Lite or LiteRT.

#include "tflite_kernels/adapters/memory.h"
#include "tflite_kernels/adapters/tflite_operands.h"
#include "tflite_kernels/adapters/tflite_ops.h"

namespace edgeax {
namespace {

// Room for the version and options of any operator.
constexpr int kMaxOptionNumbers = 1 + kBinaryConv2DOptionCount;

constexpr bool AllOperatorsFit() {
  for (const OperatorSpec& spec : kOperatorSpecs) {
    if (spec.input_count > kInputCount || spec.option_count >= kMaxOptionNumbers) return false;
  }
  return true;
}
static_assert(AllOperatorsFit(), "name the largest operators here and in tflite_operands.h");

constexpr char kScratchName[] = "edgeax_scratch";

// What every operator of a model has. Init copies what the original node says, unchecked; Prepare
// checks it.
struct HostNode {
  const KernelSet* kernels;
  ThreadPool* threads;
  int32_t shares;      // parts that are computed at the same time
  size_t share_bytes;  // scratch of each
  // Tensors in the order of the original node: the delegate's own node has them sorted.
  int input_count;
  int inputs[kInputCount];
  int output_count;
  int output;
  int scratch;  // a tensor of the arena, so that all nodes share its memory
};

// One of the operators with packed weights.
struct Node : HostNode {
  int32_t options[kMaxOptionNumbers];
  int64_t option_bytes;
  // The files' vectors may lie unaligned: a copy of the bias, and what follows from the scales.
  Buffer<int32_t> bias;
  Buffer<Requantization> requantization;
};

template <typename Op>
struct NodeOf : Node {
  typename Op::Args args;
  typename Op::Storage storage;
};

}  // namespace
}  // namespace edgeax
