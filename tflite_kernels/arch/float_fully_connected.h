#pragma once  // arch/float_fully_connected.h: the product of floats with packed weights as a
              // kernel.

#include "tflite_kernels/arch/float_codebook.h"
#include "tflite_kernels/arch/float_matmul.h"

namespace edgeax {
namespace {

// The rows of weights, with all that belongs to them, that one call multiplies with.
struct FloatRows {
  const FloatTensors& tensors;
  const FloatPlan& plan;
  FloatLimits limits;
  int32_t outputs;

  const uint8_t* Weights(int32_t output) const {
    return tensors.weights.data + size_t(output) * plan.row_bytes;
  }
  const float* Scales(int32_t output) const {
    return tensors.scale.data + size_t(output) * plan.groups;
  }
  void Store(float sum, int32_t row, int32_t output) const {
    tensors.output.data[size_t(row) * outputs + output] =
        Clamped(tensors.bias.data[output] + sum, limits);
  }
};

// The outputs of `range` of kRows vectors, from vector number `row` on. Beyond the last output a
// tile computes that one again.
template <typename Simd, typename Decoder, int32_t kRows, int32_t kOutputs>
void MultiplyRows(const FloatRows& rows, const Decoder& decoder,
                  const float* const (&inputs)[kRows], int32_t row, Range range) {
  const FloatTile<Simd, Decoder, kRows, kOutputs> tile = {rows.plan, decoder};
  for (int32_t first = range.begin; first < range.end; first += kOutputs) {
    const uint8_t* weights[kOutputs];
    const float* scales[kOutputs];
    for (int32_t c = 0; c < kOutputs; ++c) {
      const int32_t output = first + c < range.end ? first + c : range.end - 1;
      weights[c] = rows.Weights(output);
      scales[c] = rows.Scales(output);
    }
    float sums[kRows * kOutputs];
    tile.Run(inputs, weights, scales, sums);
    for (int32_t i = 0; i < kRows * kOutputs; ++i) {
      const int32_t output = first + i % kOutputs;
      if (output < range.end) rows.Store(sums[i], row + i / kOutputs, output);
    }
  }
}

constexpr int32_t kFloatOutputs = 4;  // of one vector that are computed at a time

template <typename Simd, typename Decoder>
void MultiplyAll(const FloatFullyConnectedArgs& args, const FloatTensors& tensors,
                 const FloatPlan& plan, const Decoder& decoder) {
  const FloatRows rows = {tensors, plan, LimitsOf(args.activation), args.outputs};
  const Range range = RangeOf(args.outputs, kFloatOutputs, tensors.share);
  const size_t stride = AlignedBytes(plan.input_floats * sizeof(float)) / sizeof(float);
  float* scratch = reinterpret_cast<float*>(AlignedStart(tensors.scratch.data));
  const auto store = [&](int32_t row, int32_t place) {
    StoreInput(plan, tensors.input.data + size_t(row) * args.depth, scratch + place * stride);
  };
  int32_t row = 0;
  for (; args.rows - row >= Simd::kRows; row += Simd::kRows) {
    const float* inputs[Simd::kRows];
    for (int32_t r = 0; r < Simd::kRows; ++r) {
      store(row + r, r);
      inputs[r] = scratch + r * stride;
    }
    MultiplyRows<Simd, Decoder, Simd::kRows, Simd::kOutputsOfRows>(rows, decoder, inputs, row,
                                                                   range);
  }
  for (; row < args.rows; ++row) {
    store(row, 0);
    const float* inputs[] = {scratch};
    MultiplyRows<Simd, Decoder, 1, kFloatOutputs>(rows, decoder, inputs, row, range);
  }
}

// With the decoder that suits the codebook.
template <typename Simd>
void MultiplyFloats(const FloatFullyConnectedArgs& args, const FloatTensors& tensors,
                    const FloatPlan& plan) {
  const float* codebook = tensors.codebook.data;
  const auto multiply = [&](const auto& decoder) {
    MultiplyAll<Simd>(args, tensors, plan, decoder);
  };
  ShortFloats floats;
  if (args.bits == 4) return multiply(typename Simd::template Table<4>(codebook));
  if (args.bits == 2) return multiply(typename Simd::template Table<2>(codebook));
  if (args.bits == 1) return multiply(typename Simd::template Table<1>(codebook));
  if (AreIntegers(codebook)) return multiply(typename Simd::Integers());
  if (FindShortFloats(codebook, &floats)) return multiply(typename Simd::Halves(floats));
  multiply(typename Simd::Lookup(codebook));
}

}  // namespace

template <typename Simd>
Status FloatFullyConnectedScratchBytesOn(const FloatFullyConnectedArgs& args, size_t* bytes) {
  const Status status = CheckFloatFullyConnected(args);
  *bytes = status == Status::kOk ? PlanFloat<Simd>(args).total_bytes : 0;
  return status;
}

template <typename Simd>
Status FloatFullyConnectedOn(const FloatFullyConnectedArgs& args, const FloatTensors& tensors) {
  const Status status = CheckFloatFullyConnected(args, tensors);
  if (status != Status::kOk) return status;
  const FloatPlan plan = PlanFloat<Simd>(args);
  if (tensors.scratch.size < plan.total_bytes) return Status::kBadScratch;
  MultiplyFloats<Simd>(args, tensors, plan);
  return Status::kOk;
}

}  // namespace edgeax
