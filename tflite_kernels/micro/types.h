#pragma once  // micro/types.h: the words that the kernels of generated programs share.

#include "tflite_kernels/core/rounding.h"
#include "tflite_kernels/core/types.h"

namespace edgeax {
namespace micro {

// The rows [begin, end) of an output image that one call computes. The call's output points to row
// `begin`, its input to row `input_begin` of the input image. A whole image is
// {0, output height, 0}.
struct Rows {
  int32_t begin, end, input_begin;
};

// Limits of output codes: those of the type, or of a fused activation.
struct Clamp {
  int32_t min, max;
};

static inline int32_t Clamped(int32_t code, Clamp clamp) {
  return code < clamp.min ? clamp.min : code > clamp.max ? clamp.max : code;
}

// Factors of output channels, one after the other in memory: factor c is the real number
// multiplier[c] * 2**(shift[c] - 31), see core/rounding.h.
struct Factors {
  const int32_t* multiplier;
  const int8_t* shift;
};

static inline Requantization FactorOf(const Factors& factors, int32_t channel) {
  return {factors.multiplier[channel], factors.shift[channel]};
}

}  // namespace micro
}  // namespace edgeax
