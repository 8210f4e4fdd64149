#include "tflite_kernels/core/tensors.h"

namespace edgeax {
namespace {

bool IsInt8(int32_t value) { return value >= INT8_MIN && value <= INT8_MAX; }

bool IsInt16(int32_t value) { return value >= INT16_MIN && value <= INT16_MAX; }

bool IsPositiveFinite(float value) { return value > 0.0f && value <= 3.402823466e+38f; }

bool IsRounding(Rounding rounding) {
  return rounding == Rounding::kSingle || rounding == Rounding::kDouble;
}

template <typename Code>
Status CheckSizes(const CodeTensors<Code>& tensors, int64_t input_size, int32_t rows,
                  int32_t row_codes, int64_t channels, int64_t output_size) {
  const int32_t bits = CodeBits(tensors.codebook.size);
  if (bits == 0) return Status::kBadShape;
  const int64_t weight_bytes = CheckedProduct(rows, PackedBytes(row_codes, bits));
  const bool sizes_fit =
      HasSize(tensors.input.size, input_size) && HasSize(tensors.weights.size, weight_bytes) &&
      HasSize(tensors.bias.size, channels) && HasSize(tensors.requantization.size, channels) &&
      HasSize(tensors.output.size, output_size);
  if (!sizes_fit) return Status::kBadShape;
  return CheckShifts(tensors.requantization);
}

}  // namespace

Status RequantizationFromScales(float input_scale, Span<const float> weight_scales,
                                float output_scale, Span<Requantization> factors) {
  if (weight_scales.size != factors.size) return Status::kBadShape;
  if (!IsPositiveFinite(input_scale) || !IsPositiveFinite(output_scale)) {
    return Status::kBadArgument;
  }
  for (size_t c = 0; c < factors.size; ++c) {
    const double product = static_cast<double>(input_scale) * weight_scales.data[c];
    const Status status = QuantizeMultiplier(product / output_scale, &factors.data[c]);
    if (status != Status::kOk) return status;
  }
  return Status::kOk;
}

void SumRows(Span<const uint8_t> weights, Span<const int8_t> codebook, int32_t depth,
             Span<int32_t> sums) {
  const int32_t bits = CodeBits(codebook.size), codes = 8 / bits;
  int32_t sum_of_byte[256] = {};
  for (int32_t byte = 0; byte < 256; ++byte) {
    const uint8_t row = static_cast<uint8_t>(byte);
    for (int32_t i = 0; i < codes; ++i) sum_of_byte[byte] += codebook.data[Unpack(&row, i, bits)];
  }
  const uint8_t* row = weights.data;
  for (size_t r = 0; r < sums.size; ++r, row += PackedBytes(depth, bits)) {
    int32_t sum = 0;
    for (int32_t i = 0; i < depth / codes; ++i) sum += sum_of_byte[row[i]];
    for (int32_t i = depth / codes * codes; i < depth; ++i) {
      sum += codebook.data[Unpack(row, i, bits)];
    }
    sums.data[r] = sum;
  }
}

Status CheckQuantization(const Quantization& quantization) {
  const bool in_range = IsInt8(quantization.input_zero_point) &&
                        IsInt8(quantization.output_zero_point) && IsInt8(quantization.output_min) &&
                        IsInt8(quantization.output_max) &&
                        quantization.output_min <= quantization.output_max;
  return in_range && IsRounding(quantization.rounding) ? Status::kOk : Status::kBadArgument;
}

Status CheckInt16Quantization(const Quantization& quantization) {
  const bool in_range = quantization.input_zero_point == 0 && quantization.output_zero_point == 0 &&
                        IsInt16(quantization.output_min) && IsInt16(quantization.output_max) &&
                        quantization.output_min <= quantization.output_max;
  return in_range && IsRounding(quantization.rounding) ? Status::kOk : Status::kBadArgument;
}

Status CheckShifts(Span<const Requantization> factors) {
  for (size_t c = 0; c < factors.size; ++c) {
    const int32_t shift = factors.data[c].shift;
    if (shift < kMinShift || shift > kMaxShift) return Status::kBadArgument;
  }
  return Status::kOk;
}

Status CheckTensors(const Tensors& tensors, int64_t input_size, int32_t rows, int32_t row_codes,
                    int64_t channels, int64_t output_size) {
  return CheckSizes(tensors, input_size, rows, row_codes, channels, output_size);
}

Status CheckTensors(const Int16Tensors& tensors, int64_t input_size, int32_t rows,
                    int32_t row_codes, int64_t channels, int64_t output_size) {
  return CheckSizes(tensors, input_size, rows, row_codes, channels, output_size);
}

}  // namespace edgeax
