#pragma once  // core/tensors.h: what every codebook kernel reads and writes, and the common checks.

#include "tflite_kernels/core/packing.h"
#include "tflite_kernels/core/rounding.h"
#include "tflite_kernels/core/types.h"

namespace edgeax {

// real = scale * (code - zero_point). Zero points and output limits lie in [-128, 127]; of int16
// activations, see Int16Args.
struct Quantization {
  int32_t input_zero_point;
  int32_t output_zero_point;
  int32_t output_min;
  int32_t output_max;
  Rounding rounding;
};

// The memory of one call; the caller owns all of it. `weights` holds rows of codes as each
// kernel says, packed as in packing.h, `codebook` the values that they stand for, whose number says
// the bits of a code. A weight's real value is its channel's scale times the codebook's value; the
// scales are in `requantization`, see RequantizationFromScales. Per output channel: `bias` and
// `requantization`. `weight_sums` is empty, or holds what SumRows writes, for kernels that would
// rather not sum weights up themselves. `share` is for kernels that can be split, see
// arch/dispatch.h; the others compute everything.
template <typename Code>
struct CodeTensors {
  Span<const Code> input;
  Span<const uint8_t> weights;
  Span<const int32_t> bias;
  Span<const Requantization> requantization;
  Span<const int8_t> codebook;
  Span<uint8_t> scratch;
  Span<Code> output;
  Share share = {0, 1};
  Span<const int32_t> weight_sums = {nullptr, 0};
};

using Tensors = CodeTensors<int8_t>;
using Int16Tensors = CodeTensors<int16_t>;

// The arguments of an operator whose activations are int16, as `args` would be for int8 ones: its
// zero points are 0, and its output limits lie in [-32768, 32767].
template <typename Args>
struct Int16Args {
  Args args;
};

// What sums of products are added up in. Those of int8 codes wrap around like the int32 they are;
// the longest row of int16 ones stays below 2**40.
template <typename Code>
struct SumOfCodes;
template <>
struct SumOfCodes<int8_t> {
  using Type = uint32_t;
};
template <>
struct SumOfCodes<int16_t> {
  using Type = int64_t;
};
template <typename Code>
using Sum = typename SumOfCodes<Code>::Type;

// factor[c] = input_scale * weight_scales[c] / output_scale, in double. Weight scales may be
// negative or zero. Returns kBadShape when the spans differ in size, kBadArgument when a number is
// not finite or an activation's scale is not positive.
Status RequantizationFromScales(float input_scale, Span<const float> weight_scales,
                                float output_scale, Span<Requantization> factors);

// Sums of the weights of each of `sums.size` rows of `depth` packed codes.
void SumRows(Span<const uint8_t> weights, Span<const int8_t> codebook, int32_t depth,
             Span<int32_t> sums);

Status CheckQuantization(const Quantization& quantization);
Status CheckInt16Quantization(const Quantization& quantization);

// Returns kBadArgument when a factor's shift is out of its range.
Status CheckShifts(Span<const Requantization> factors);

// Checks the sizes of all spans but `scratch`, and every factor's shift. `weights` has `rows` rows
// of `row_codes`.
Status CheckTensors(const Tensors& tensors, int64_t input_size, int32_t rows, int32_t row_codes,
                    int64_t channels, int64_t output_size);
Status CheckTensors(const Int16Tensors& tensors, int64_t input_size, int32_t rows,
                    int32_t row_codes, int64_t channels, int64_t output_size);

// The int8 code of one sum of (input - zero point) * weight; `sum` wraps around like the int32 it
// is.
static inline int8_t OutputCode(uint32_t sum, Requantization factor, const Quantization& q) {
  const int64_t scaled = Requantize(static_cast<int32_t>(sum), factor, q.rounding);
  const int64_t code = scaled + q.output_zero_point;
  if (code < q.output_min) return static_cast<int8_t>(q.output_min);
  if (code > q.output_max) return static_cast<int8_t>(q.output_max);
  return static_cast<int8_t>(code);
}

// The int16 code of one sum of input * weight.
static inline int16_t OutputCode(int64_t sum, Requantization factor, const Quantization& q) {
  const int64_t code = RequantizeInt16(sum, factor, q.rounding);
  if (code < q.output_min) return static_cast<int16_t>(q.output_min);
  if (code > q.output_max) return static_cast<int16_t>(q.output_max);
  return static_cast<int16_t>(code);
}

}  // namespace edgeax
