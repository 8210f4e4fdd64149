#pragma once  // core/float_fully_connected.h: matrix product of floats with packed weights.

#include "tflite_kernels/core/packing.h"
#include "tflite_kernels/core/types.h"

namespace edgeax {

enum class Activation : int32_t { kNone = 0, kRelu = 1, kRelu6 = 2, kReluN1To1 = 3 };

struct FloatFullyConnectedArgs {
  int32_t rows;     // vectors in the input
  int32_t depth;    // numbers in one of them
  int32_t outputs;  // numbers in one vector of the output
  int32_t bits;     // of a code: 8, 4, 2 or 1
  int32_t group;    // weights of a row that share a scale, a multiple of 8; 0 for all of them
  Activation activation;
};

// The memory of one call; the caller owns all of it. `scale` holds a row of GroupsOf(args) numbers
// for each output, `codebook` the 2**bits values that codes stand for.
struct FloatTensors {
  Span<const float> input;
  Span<const uint8_t> weights;
  Span<const float> bias;
  Span<const float> scale;
  Span<const float> codebook;
  Span<uint8_t> scratch;
  Span<float> output;
  Share share = {0, 1};
};

// Sums that a product is made of, so that all instruction sets add in the same order.
constexpr int32_t kFloatLanes = 16;

// Bits of a code that points into a codebook of so many floats; 0 where there is no such code.
static inline int32_t FloatCodeBits(size_t entries) {
  return entries == 256 ? 8 : CodeBits(entries);
}

// Scales of an output.
static inline int32_t GroupsOf(const FloatFullyConnectedArgs& args) {
  return args.group == 0 ? 1 : (args.depth - 1) / args.group + 1;
}

struct FloatLimits {
  float low, high;
};

static inline FloatLimits LimitsOf(Activation activation) {
  constexpr float kInfinity = __builtin_huge_valf();
  switch (activation) {
    case Activation::kRelu:
      return {0.0f, kInfinity};
    case Activation::kRelu6:
      return {0.0f, 6.0f};
    case Activation::kReluN1To1:
      return {-1.0f, 1.0f};
    default:
      return {-kInfinity, kInfinity};
  }
}

static inline float Clamped(float value, const FloatLimits& limits) {
  if (value < limits.low) return limits.low;
  return value > limits.high ? limits.high : value;
}

// Checks the arguments alone. Returns kBadArgument or kBadShape.
Status CheckFloatFullyConnected(const FloatFullyConnectedArgs& args);

// The same and the sizes of all spans but `scratch`.
Status CheckFloatFullyConnected(const FloatFullyConnectedArgs& args, const FloatTensors& tensors);

// output[r,c] = Clamped(bias[c] + Sum_g scale[c,g] * Sum_k input[r,k] * codebook[code k of row c])
// over the groups g and the k of each. `weights` holds `outputs` rows of `depth` codes.
//
// The sums are kFloatLanes: a product belongs to the one that the byte of its code has in its
// group, modulo kFloatLanes, and they are added in the order of k by MultiplyAdd. At the end of a
// group each, times the scale, is added to that of the groups before, by MultiplyAdd; all start at
// 0. At the end of the row the second half of the sums is added to the first until one is left.
// So every target gives the same bits, but for which NaN a NaN is. Needs no scratch. On an error
// `output` is untouched.
Status FloatFullyConnected(const FloatFullyConnectedArgs& args, const FloatTensors& tensors);

}  // namespace edgeax
