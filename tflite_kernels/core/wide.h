#pragma once  // core/wide.h: numbers of twice the digits of a double, as a sum of two.

#include "tflite_kernels/core/types.h"

namespace edgeax {

// high + low, where |low| is at most half a unit in the last place of high: about 32 digits.
// Factors of a product must stay below 2**996, so that they can be split.
struct Wide {
  double high, low;
};

static inline Wide Normalized(double high, double low) {
  const double sum = high + low;
  return {sum, low - (sum - high)};
}

static inline Wide Plus(Wide a, Wide b) {
  const double sum = a.high + b.high;
  const double moved = sum - a.high;
  const double lost = (a.high - (sum - moved)) + (b.high - moved);
  return Normalized(sum, lost + (a.low + b.low));
}

static inline Wide Minus(Wide a, Wide b) { return Plus(a, {-b.high, -b.low}); }

// The upper half of a double's digits, so that products of halves are exact.
static inline double UpperHalf(double value) {
  const double scaled = 134217729.0 * value;  // 2**27 + 1
  return scaled - (scaled - value);
}

static inline Wide Times(Wide a, double b) {
  const double product = a.high * b;
  const double a_up = UpperHalf(a.high), b_up = UpperHalf(b);
  const double a_down = a.high - a_up, b_down = b - b_up;
  const double lost = ((a_up * b_up - product) + a_up * b_down + a_down * b_up) + a_down * b_down;
  return Normalized(product, lost + a.low * b);
}

}  // namespace edgeax
