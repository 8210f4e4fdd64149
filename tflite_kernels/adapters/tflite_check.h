#pragma once  // adapters/tflite_check.h: checks of what an untrusted model file says.

#include "tflite_kernels/adapters/tflite_abi.h"
#include "tflite_kernels/core/op_table.h"

namespace edgeax {

// Longest shape that is read.
constexpr int kMaxRank = 8;

// Where an error is found: the interpreter that reports it, the operator it names.
struct Site {
  TfLiteContext* context;
  const OperatorSpec* spec;
};

// Reports "<operator>: <message>" and returns kTfLiteError. Each check below that fails does so,
// naming the option or the tensor, the rule and what was received.
#if defined(TF_LITE_STRIP_ERROR_STRINGS)
template <typename... Values>
TfLiteStatus Fail(const Site&, const char*, const Values&...) {
  return kTfLiteError;
}
#else
TfLiteStatus Fail(const Site& site, const char* format, ...) __attribute__((format(printf, 2, 3)));
#endif

// `bytes` bytes of custom options, of which the first `1 + option_count` numbers, or as many as
// there are, lie in `numbers`.
TfLiteStatus CheckOptions(const Site& site, const int32_t* numbers, int64_t bytes);

// A tensor of an operator: its name in the operator table and what the interpreter holds.
struct Operand {
  const char* name;
  const TfLiteTensor* tensor;
};

TfLiteStatus CheckType(const Site& site, const Operand& operand, TfLiteType type);

// The rank lies in [low, high], every dimension is positive, and there are at most kMaxElements
// elements.
TfLiteStatus CheckShape(const Site& site, const Operand& operand, int low_rank, int high_rank);

// The tensor is stored in the file with all the bytes that its shape and `element_bytes` ask for.
TfLiteStatus CheckConstant(const Site& site, const Operand& operand, size_t element_bytes);

// The shape is [length], or [rows, columns].
TfLiteStatus CheckVector(const Site& site, const Operand& operand, int64_t length);
TfLiteStatus CheckMatrix(const Site& site, const Operand& operand, int64_t rows, int64_t columns);

// The tensor has one positive finite scale and one zero point, which is an int8.
TfLiteStatus CheckQuantized(const Site& site, const Operand& operand);

// The same, and the zero point is 0.
TfLiteStatus CheckInt16Quantized(const Site& site, const Operand& operand);

}  // namespace edgeax
