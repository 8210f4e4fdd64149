#pragma once  // core/binary.h: numbers that are +1 or -1, a bit each.
              // Python twin: edgeax/formats/binary_rows.py.

#include "tflite_kernels/core/tensors.h"

namespace edgeax {

// A number counts as +1 where it is at least 0, an int8 code where it is at least the zero point,
// else as -1. Its bit is 1 where it is negative, so of two rows of n bits the sum of products is
// n - 2 * (bits that differ).

// What comes in and goes out: 0 int8 codes, 1 bits, of one pixel or vector in
// PackedBytes(channels, 1) bytes. Spare bits that go out are 0.
struct BinaryForm {
  int32_t input_packed, output_packed;
};

// A unit of `bias` is 2**-kBinaryFractionBits of a sum.
constexpr int32_t kBinaryFractionBits = 12;

// With any sum of kMaxRowDepth products the bias still fits int32.
constexpr int32_t kMaxBinaryBias = 1 << 30;

// What every binary kernel reads and writes; see Tensors. Where input or output is packed, its
// bytes hold bits. `requantization` is that of a unit of bias, see BinaryRequantization.
struct BinaryTensors {
  Span<const int8_t> input;
  Span<const uint8_t> weights;
  Span<const int32_t> bias;
  Span<const Requantization> requantization;
  Span<uint8_t> scratch;
  Span<int8_t> output;
  Share share = {0, 1};
};

// factor[c] = scales[c] / 2**kBinaryFractionBits / output_scale, where a sum of 1 is worth
// scales[c]; `output_scale` is 1 where the output is packed. Errors as of RequantizationFromScales.
static inline Status BinaryRequantization(Span<const float> scales, float output_scale,
                                          Span<Requantization> factors) {
  return RequantizationFromScales(1.0f / (1 << kBinaryFractionBits), scales, output_scale, factors);
}

Status CheckBinaryForm(const BinaryForm& form);

// Checks the sizes of all spans but `scratch`, every factor's shift, and that every bias lies in
// [-kMaxBinaryBias, kMaxBinaryBias].
Status CheckBinaryTensors(const BinaryTensors& tensors, int64_t input_size, int64_t weight_bytes,
                          int64_t channels, int64_t output_size);

// Bytes of `channels` numbers in a tensor.
static inline int32_t BinaryBytes(int32_t is_packed, int32_t channels) {
  return is_packed != 0 ? PackedBytes(channels, 1) : channels;
}

// The bit of number `index` of a pixel or vector.
static inline int32_t BinaryInput(const int8_t* input, int32_t index, const BinaryForm& form,
                                  const Quantization& quantization) {
  if (form.input_packed != 0) return Unpack(reinterpret_cast<const uint8_t*>(input), index, 1);
  return input[index] < quantization.input_zero_point ? 1 : 0;
}

// The sum of products and the bias, in units of the bias.
static inline int32_t BinaryTotal(int32_t bias, int32_t sum) {
  return bias + sum * (1 << kBinaryFractionBits);
}

// Whether `total` times the factor is negative.
static inline bool BinaryIsNegative(int32_t total, Requantization factor) {
  return factor.multiplier < 0 ? total > 0 : factor.multiplier > 0 && total < 0;
}

// Writes output number `channel` of a pixel or vector; the ones before it are written.
static inline void StoreBinary(int32_t sum, int32_t channel, const BinaryTensors& tensors,
                               const BinaryForm& form, const Quantization& quantization,
                               int8_t* output) {
  const int32_t total = BinaryTotal(tensors.bias.data[channel], sum);
  const Requantization factor = tensors.requantization.data[channel];
  if (form.output_packed == 0) {
    output[channel] = OutputCode(static_cast<uint32_t>(total), factor, quantization);
    return;
  }
  const uint32_t bit = BinaryIsNegative(total, factor) ? 1u << (channel & 7) : 0;
  const uint8_t before = (channel & 7) == 0 ? 0 : static_cast<uint8_t>(output[channel >> 3]);
  output[channel >> 3] = static_cast<int8_t>(static_cast<uint8_t>(before | bit));
}

}  // namespace edgeax
