#pragma once  // core/multiply_add.h: a * b + c, rounded once, on any target.

#include "tflite_kernels/core/types.h"

namespace edgeax {

union DoubleBits {
  double value;
  uint64_t bits;
};

// The float nearest to a * b + c. Where the processor has no instruction for it the product is
// exact in double, and the sum keeps in its last bit whether anything was lost (round to odd), so
// that rounding it to a float is the only rounding.
static inline float MultiplyAdd(float a, float b, float c) {
#if defined(__FP_FAST_FMAF)
  return __builtin_fmaf(a, b, c);
#else
  const double product = static_cast<double>(a) * b;
  DoubleBits sum = {product + c};
  const double moved = sum.value - product;
  const double lost = (product - (sum.value - moved)) + (c - moved);
  if ((lost > 0 || lost < 0) && (sum.bits & 1) == 0) {
    if ((lost > 0) == (sum.value > 0)) {
      ++sum.bits;
    } else {
      --sum.bits;
    }
  }
  return static_cast<float>(sum.value);
#endif
}

}  // namespace edgeax
