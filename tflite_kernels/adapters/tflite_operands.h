#pragma once  // adapters/tflite_operands.h: the parts of a call that are checked, for every
              // adapter.

#include "tflite_kernels/adapters/tflite_check.h"
#include "tflite_kernels/adapters/tflite_memory.h"
#include "tflite_kernels/core/op_table.h"
#include "tflite_kernels/core/rounding.h"

namespace edgeax {
namespace {

// Room for the inputs of any operator.
constexpr int kInputCount = kSignSumConv2DInputCount;

constexpr char kOutputName[] = "output";

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

// The bytes of the constants that Prepare has checked, of the parts that an operator has.
struct Constants {
  Span<const uint8_t> weights, bias, scale, key, steps;
};

static inline Span<const int8_t> CodesOf(Span<const uint8_t> bytes) {
  return {reinterpret_cast<const int8_t*>(bytes.data), bytes.size};
}

template <typename TensorsOfArgs>
void GiveShare(Share share, Span<uint8_t> scratch, TensorsOfArgs* tensors) {
  tensors->share = share;
  tensors->scratch = scratch;
}

template <typename T>
Span<const T> BytesOf(const TfLiteTensor& tensor) {
  static_assert(sizeof(T) == 1, "a tensor of the file may lie unaligned");
  return {static_cast<const T*>(DataOf(tensor)), tensor.bytes};
}

}  // namespace
}  // namespace edgeax
