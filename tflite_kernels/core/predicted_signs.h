#pragma once  // core/predicted_signs.h: signs of a kernel's gradient, predicted from high bits.

#include "tflite_kernels/core/gradients.h"

namespace edgeax {

// How much of a code predicts, and when a prediction stands.
struct SignPrediction {
  int32_t bits;                     // of a code of the input, 2 to 8
  int32_t predicted_bits;           // most significant ones of it, 0 to bits; 0: none is predicted
  int32_t gradient_bits;            // of a code of the output's gradient, 2 to 16
  int32_t predicted_gradient_bits;  // most significant ones of it, 1 to gradient_bits, rounded
  int32_t carries;                  // 1: those of the input are rounded too, 0: they are cut off
  float beta;                       // share of the largest prediction, in [0, 1]
};

struct PredictedSignsArgs {
  Conv2DGradientArgs layer;
  SignPrediction prediction;
};

// The memory of one call; the caller owns all of it. `values` are codes of the layer's input,
// `gradients` codes of its output's gradient; what they are multiplied by to give numbers does not
// change a sign.
struct SignTensors {
  Span<const int8_t> values;
  Span<const int16_t> gradients;
  Span<uint8_t> scratch;
  Span<float> output;
  Share share = {0, 1};
};

// The most significant `most` of `bits` bits, as a number of `most` bits. What is cut off rounds
// half up where `rounds`; a code that is too large for its bits counts as the largest.
static inline int32_t MostSignificant(int32_t code, int32_t bits, int32_t most, bool rounds) {
  const int32_t cut = bits - most, limit = INT32_C(1) << (most - 1);
  // An arithmetic shift, of a number that is not negative.
  const int32_t offset = INT32_C(1) << 16;
  const int32_t half = rounds && cut > 0 ? INT32_C(1) << (cut - 1) : 0;
  const int32_t high = ((code + half + offset) >> cut) - (offset >> cut);
  return high < -limit ? -limit : high >= limit ? limit - 1 : high;
}

// The least magnitude of a prediction that stands where `largest` is the largest: that from which
// on it is not below beta * largest in float32. Keras compares floats, which hold integers up to
// 2^24 exactly.
static inline int64_t LeastPrediction(float beta, int64_t largest) {
  const float share = beta * static_cast<float>(largest);
  const int64_t whole = static_cast<int64_t>(share);
  return static_cast<float>(whole) < share ? whole + 1 : whole;
}

static inline int64_t MagnitudeOf(int64_t sum) { return sum < 0 ? -sum : sum; }

static inline float SignOf(int64_t sum) { return sum > 0 ? 1.0f : sum < 0 ? -1.0f : 0.0f; }

// Returns kBadArgument or kBadShape; the sizes are right if kOk.
Status CheckPredictedSigns(const PredictedSignsArgs& args, GradientSizes* sizes);

// kBadShape when a span but `scratch` has another size.
static inline Status CheckSignTensors(const GradientSizes& sizes, const SignTensors& tensors) {
  const bool sizes_fit = HasSize(tensors.values.size, sizes.values) &&
                         HasSize(tensors.gradients.size, sizes.gradients) &&
                         HasSize(tensors.output.size, sizes.output);
  return sizes_fit ? Status::kOk : Status::kBadShape;
}

// The sign of each weight's gradient, -1, 0 or 1. A gradient is the sum of values * gradients over
// the positions, as in Conv2DBackpropFilter, without rounding, of all bits; its prediction is the
// same sum of their most significant bits. A prediction whose magnitude is at least LeastPrediction
// gives its own sign, else the gradient does. All is in integers: every target gives the same
// signs. Needs no scratch, and computes predictions twice. On an error `output` is untouched.
Status PredictedSigns(const PredictedSignsArgs& args, const SignTensors& tensors);

}  // namespace edgeax
