#pragma once  // adapters/tflite_prepare.h: what every adapter's Prepare checks, and its operators.

#include <type_traits>

#include "tflite_kernels/adapters/tflite_binary_ops.h"
#include "tflite_kernels/adapters/tflite_code_ops.h"
#include "tflite_kernels/adapters/tflite_float_op.h"
#include "tflite_kernels/adapters/tflite_grouped_ops.h"
#include "tflite_kernels/adapters/tflite_lookup_ops.h"
#include "tflite_kernels/adapters/tflite_sign_sum_ops.h"
#include "tflite_kernels/adapters/tflite_vector_ops.h"

namespace edgeax {
namespace {

// Fills the parts from what is in the places of the inputs, and behind them the output.
Operands OperandsFrom(const Operand (&found)[kInputCount + 1]) {
  static_assert(kCodebook == kIndices && kCodebook == kGains,
                "the place of the key of the weights");
  static_assert(kThresholds == kPoints, "the place of what the input is read with");
  static_assert(kCoded == kWeights, "the place of the weights");
  return {found[kInput],    found[kWeights],    found[kBias],      found[kScale],
          found[kCodebook], found[kThresholds], found[kInputCount]};
}

// Whether an operator takes int16 activations too.
template <typename Op>
constexpr bool kTakesInt16 = std::is_same_v<typename Op::Storage, CodebookStorage> ||
                             std::is_same_v<typename Op::Storage, SparseStorage>;

// As TFLite's own with int16 activations: XNNPACK, whose integers `of_int8` may name, has not
// these.
template <typename Op>
Rounding RoundingOf(const Operands& operands, Rounding of_int8) {
  if constexpr (kTakesInt16<Op>) {
    if (IsInt16(operands.input)) return Op::kInt16Rounding;
  }
  return of_int8;
}

// Of codes or, where they are packed, of bits.
TfLiteStatus CheckActivations(const Site& site, const Operand& operand, int32_t is_packed,
                              bool is_int16) {
  if (is_packed != 0) return CheckType(site, operand, kTfLiteUInt8);
  if (is_int16) {
    EDGEAX_RETURN_IF_ERROR(CheckType(site, operand, kTfLiteInt16));
    return CheckInt16Quantized(site, operand);
  }
  EDGEAX_RETURN_IF_ERROR(CheckType(site, operand, kTfLiteInt8));
  return CheckQuantized(site, operand);
}

// Types, ranks, constants and quantization: all that does not depend on the other tensors.
template <typename Op>
TfLiteStatus CheckOperands(const Site& site, const BinaryForm& form, const Operands& operands,
                           typename Op::Storage* storage) {
  const bool is_int16 = kTakesInt16<Op> && IsInt16(operands.input);
  EDGEAX_RETURN_IF_ERROR(CheckActivations(site, operands.input, form.input_packed, is_int16));
  EDGEAX_RETURN_IF_ERROR(CheckShape(site, operands.input, Op::kLowRank, Op::kHighRank));
  EDGEAX_RETURN_IF_ERROR(storage->CheckOperands(site, operands));
  return CheckActivations(site, operands.output, form.output_packed, is_int16);
}

// Whether the limits of the output are codes of its type. The options of operators that take int16
// activations may be those.
TfLiteStatus CheckClamp(const Site& site, const Clamp& clamp, const Operands& operands) {
  if (IsInt16(operands.output)) return kTfLiteOk;
  const bool is_low = clamp.low < INT8_MIN || clamp.low > INT8_MAX;
  if (!is_low && clamp.high >= INT8_MIN && clamp.high <= INT8_MAX) return kTfLiteOk;
  return Fail(site, "option %s must lie in [-128, 127], as the output is int8. Received: %d.",
              is_low ? "output_min" : "output_max",
              static_cast<int>(is_low ? clamp.low : clamp.high));
}

int32_t ZeroPointOf(const Operand& operand, int32_t is_packed) {
  return is_packed != 0 ? 0 : operand.tensor->params.zero_point;
}

TfLiteStatus CheckOutput(const Site& site, const Wanted& wanted) {
  int64_t elements = 1;
  for (int i = 0; i < wanted.output_rank && elements > 0; ++i) {
    elements = CheckedProduct(elements, wanted.output_shape[i]);
  }
  if (elements > 0) return kTfLiteOk;
  return Fail(site, "tensor output must have at most %lld elements.",
              static_cast<long long>(kMaxElements));
}

// Checks the options and tensors of an operator, fills the arguments of its kernel, and gives its
// weights the storage that they need.
template <typename Op>
TfLiteStatus PrepareArguments(const Site& site, const typename Op::Options& options,
                              const Operands& operands, Rounding of_int8, typename Op::Args* args,
                              typename Op::Storage* storage, Wanted* wanted) {
  const Clamp clamp = ClampOf(options);
  if (clamp.low > clamp.high) {
    return Fail(site, "option output_min must not be above output_max. Received: %d and %d.",
                static_cast<int>(clamp.low), static_cast<int>(clamp.high));
  }
  const BinaryForm form = FormOf(options);
  EDGEAX_RETURN_IF_ERROR(CheckOperands<Op>(site, form, operands, storage));
  EDGEAX_RETURN_IF_ERROR(CheckClamp(site, clamp, operands));
  const Quantization quantization = {ZeroPointOf(operands.input, form.input_packed),
                                     ZeroPointOf(operands.output, form.output_packed), clamp.low,
                                     clamp.high, RoundingOf<Op>(operands, of_int8)};
  EDGEAX_RETURN_IF_ERROR(
      Op::Translate(site, options, operands, *storage, quantization, args, wanted));
  EDGEAX_RETURN_IF_ERROR(storage->Prepare(site, operands, options, *wanted));
  return CheckOutput(site, *wanted);
}

template <>
TfLiteStatus PrepareArguments<FloatFullyConnectedOp>(const Site& site,
                                                     const FloatFullyConnectedOptions& options,
                                                     const Operands& operands, Rounding,
                                                     FloatFullyConnectedArgs* args,
                                                     FloatStorage* storage, Wanted* wanted) {
  EDGEAX_RETURN_IF_ERROR(FloatFullyConnectedOp::CheckOperands(site, operands));
  EDGEAX_RETURN_IF_ERROR(FloatFullyConnectedOp::Translate(site, options, operands, args, wanted));
  EDGEAX_RETURN_IF_ERROR(CheckOutput(site, *wanted));
  EDGEAX_RETURN_IF_ERROR(storage->CopyUnaligned(site, operands.bias, &storage->bias));
  EDGEAX_RETURN_IF_ERROR(storage->CopyUnaligned(site, operands.scale, &storage->scale));
  return storage->CopyUnaligned(site, operands.key, &storage->codebook);
}

// Whether the sums of an operator are scaled to codes, by factors of its channels.
template <typename Op>
constexpr bool kHasFactors = !std::is_same_v<typename Op::Storage, NoStorage> &&
                             !std::is_same_v<typename Op::Storage, FloatStorage>;

// What a kernel takes at a call: input and output at the alignment of its codes.
template <typename Op>
TfLiteStatus CheckMemory(const Site& site, const typename Op::Args& args,
                         const CommonTensors& common) {
  if (common.input.data == nullptr || common.output.data == nullptr) {
    return Fail(site, "tensors input and output must have memory. Allocate the tensors first.");
  }
  const size_t alignment = AlignmentOf(args);
  if (reinterpret_cast<uintptr_t>(common.input.data) % alignment == 0 &&
      reinterpret_cast<uintptr_t>(common.output.data) % alignment == 0) {
    return kTfLiteOk;
  }
  return Fail(site, "tensors input and output must lie at multiples of %d bytes.",
              static_cast<int>(alignment));
}

// The factors of a kernel's sums.
template <typename Op>
Status FactorsOf(const BinaryForm& form, const Operands& operands, Span<const float> scales,
                 Span<Requantization> factors) {
  const float output_scale = operands.output.tensor->params.scale;
  if constexpr (std::is_same_v<typename Op::Storage, BinaryStorage>) {
    return BinaryRequantization(scales, form.output_packed != 0 ? 1.0f : output_scale, factors);
  } else if constexpr (std::is_same_v<typename Op::Storage, SignSumStorage> ||
                       std::is_same_v<typename Op::Storage, LookupStorage>) {
    return RequantizationFromScales(1.0f, scales, output_scale, factors);
  } else {
    return RequantizationFromScales(operands.input.tensor->params.scale, scales, output_scale,
                                    factors);
  }
}

template <typename Op>
TfLiteStatus FillFactors(const Site& site, const BinaryForm& form, const Operands& operands,
                         Span<const float> scales, Span<Requantization> factors) {
  if (FactorsOf<Op>(form, operands, scales, factors) == Status::kOk) return kTfLiteOk;
  return Fail(site, "every number of tensor scale must be finite.");
}

}  // namespace
}  // namespace edgeax
