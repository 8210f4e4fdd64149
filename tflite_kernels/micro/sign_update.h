#pragma once  // micro/sign_update.h: weights that move by the sign of their gradients.
              // Python twin: edgeax/runtime/mcu/oracle_gradients.py.

#include "tflite_kernels/micro/gradients.h"

namespace edgeax {
namespace micro {

// A weight moves against the sign of its gradient, which must be dead_zone / 256 of the largest of
// the layer at least, in one of 2**rate_bits cases, which xorshift draws. Weights move by one code
// and stay in [-127, 127].
struct SignRule {
  int32_t dead_zone, rate_bits;
};

// Magnitudes from which on gradients move weights.
static inline int32_t LeastGradient(const SignRule& rule, int32_t largest) {
  const int64_t least = (int64_t{rule.dead_zone} * largest + 255) >> 8;
  return least > 1 ? static_cast<int32_t>(least) : 1;
}

// Whether |gradient| < least; least in [1, 2**31).
static inline bool IsBelow(int32_t gradient, int32_t least) {
  const uint32_t most = static_cast<uint32_t>(least) - 1;
  return static_cast<uint32_t>(gradient) + most <= 2 * most;
}

// Whether one of 2**bits cases comes up; `random` must not be 0.
static inline bool IsDrawn(int32_t bits, uint32_t* random) {
  if (bits == 0) return true;
  uint32_t x = *random;
  x ^= x << 13;
  x ^= x >> 17;
  x ^= x << 5;
  *random = x;
  return (x & ((1u << bits) - 1)) == 0;
}

static inline void MoveWeight(const SignRule& rule, int32_t gradient, int32_t least, int8_t* weight,
                              uint32_t* random) {
  if (IsBelow(gradient, least) || !IsDrawn(rule.rate_bits, random)) return;
  *weight = static_cast<int8_t>(Clamped(*weight - (gradient > 0 ? 1 : -1), {-127, 127}));
}

// Gradients by outputs are shifted to the right by `shift` before they are summed over pixels: so
// that sums of 2**8 codes and gradients fit int32, `shift` is log2(pixels) - 8, rounded up, or 0.
// A bias moves against the sign of its sum, small ones too, in one of 2**rate_bits cases, by
// `step`, and stays in [-2**30, 2**30].
struct BiasUpdateArgs {
  int32_t pixels, outputs, shift;
  int32_t rate_bits;
  int32_t least_sum;  // the least sum of an output whose bias moves
  int32_t step;
};

// gradient: of the layer's output, [pixels, outputs].
void UpdateBias(const BiasUpdateArgs& args, const int16_t* gradient, int32_t* bias,
                uint32_t* random);

}  // namespace micro
}  // namespace edgeax
