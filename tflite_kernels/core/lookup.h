#pragma once  // core/lookup.h: weights and inputs of few values, of which all products are a table.

#include "tflite_kernels/core/grouped.h"

namespace edgeax {

// Input code x stands for the point `points[x + 128]`, whatever the zero point of the input is. A
// row of weights is one of core/grouped.h with a single codebook: a product is that of a point and
// a value of the codebook, an entry of a table of int16. The file has the points and the codebooks
// alone: kernels may look products up or multiply, the integers are the same.
constexpr int32_t kLookupPoints = 256;

// The memory of one call, see Tensors. Factors come from RequantizationFromScales with an input
// scale of 1: a channel's scale is the real value of a product of 1.
struct LookupTensors {
  Span<const int8_t> input;
  Span<const uint8_t> weights;
  Span<const int32_t> bias;
  Span<const Requantization> requantization;
  Span<const int8_t> codebook;
  Span<const int8_t> points;
  Span<uint8_t> scratch;
  Span<int8_t> output;
  Share share = {0, 1};
};

static inline GroupedFormat LookupFormat(int32_t bits) { return {bits, kMaxGroupBits}; }

// Bytes of a row of `depth` weights.
static inline int32_t LookupRowBytes(int32_t bits, int32_t depth) {
  return GroupedRowBytes(LookupFormat(bits), depth);
}

// The same weights for inputs that lie on their points.
static inline Tensors GroupedTensors(const LookupTensors& tensors, Span<const int8_t> on_points,
                                     Span<uint8_t> scratch) {
  return {on_points,        tensors.weights, tensors.bias,   tensors.requantization,
          tensors.codebook, scratch,         tensors.output, tensors.share};
}

// CheckGroupedTensors, and the number of points.
static inline Status CheckLookupTensors(const LookupTensors& tensors, int32_t bits,
                                        int64_t input_size, int32_t rows, int32_t depth,
                                        int64_t output_size) {
  if (tensors.points.size != kLookupPoints) return Status::kBadShape;
  return CheckGroupedTensors(GroupedTensors(tensors, tensors.input, {nullptr, 0}),
                             LookupFormat(bits), input_size, rows, depth, output_size);
}

static inline int32_t PointOf(const LookupTensors& tensors, int8_t code) {
  return tensors.points.data[code + 128];
}

// The product with weight number k of `depth` of an output.
static inline int32_t LookupProduct(const LookupTensors& tensors, int32_t bits, int32_t depth,
                                    int32_t output, int32_t k, int8_t code) {
  const uint8_t* row = tensors.weights.data + size_t(output) * LookupRowBytes(bits, depth);
  const Tensors weights = GroupedTensors(tensors, {nullptr, 0}, {nullptr, 0});
  return PointOf(tensors, code) * GroupedWeight(weights, LookupFormat(bits), row, depth, k);
}

}  // namespace edgeax
