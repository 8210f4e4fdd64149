#pragma once  // core/rounding.h: sums to codes. Python twin of those of int32 to int8:
              // edgeax/formats/rounding.py.

#include "tflite_kernels/core/types.h"

namespace edgeax {

// The two ways the world scales an int32 sum. Single: one rounding, half up (LiteRT's XNNPACK).
// Double: gemmlowp's, a rounding of the doubled high half and one of the shift (TFLM, CMSIS-NN).
enum class Rounding : int32_t { kSingle = 0, kDouble = 1 };

// A real factor `multiplier * 2**(shift - 31)`; |multiplier| in [2**30, 2**31) or 0, shift in
// [kMinShift, kMaxShift].
struct Requantization {
  int32_t multiplier;
  int32_t shift;
};

constexpr int32_t kMinShift = -31;
constexpr int32_t kMaxShift = 30;

// The factor nearest to `ratio`, its mantissa rounded to 31 bits, half away from zero. Magnitudes
// too small for kMinShift give 0, those too large for kMaxShift the largest factor. Returns
// kBadArgument, `out` untouched, for a ratio that is not finite.
static inline Status QuantizeMultiplier(double ratio, Requantization* out) {
  union {
    double value;
    uint64_t bits;
  } number = {ratio};
  const int32_t exponent_bits = static_cast<int32_t>((number.bits >> 52) & 0x7FF);
  if (exponent_bits == 0x7FF) return Status::kBadArgument;
  // |ratio| = mantissa * 2**(shift - 53) with the mantissa in [2**52, 2**53). Subnormals have no
  // leading one; they are far below kMinShift anyhow.
  int32_t shift = exponent_bits - 1022;
  const uint64_t mantissa = (number.bits & ((1ull << 52) - 1)) | (1ull << 52);
  uint64_t magnitude = (mantissa + (1ull << 21)) >> 22;
  if (magnitude == 1ull << 31) {
    magnitude >>= 1;
    ++shift;
  }
  if (shift < kMinShift) {
    *out = {0, 0};
    return Status::kOk;
  }
  const bool too_large = shift > kMaxShift;
  if (too_large) shift = kMaxShift;
  const int32_t positive = too_large ? INT32_MAX : static_cast<int32_t>(magnitude);
  *out = {(number.bits >> 63) != 0 ? -positive : positive, shift};
  return Status::kOk;
}

// int64 to int32, clamped to what int32 holds.
static inline int32_t SaturateToInt32(int64_t value) {
  if (value > INT32_MAX) return INT32_MAX;
  if (value < INT32_MIN) return INT32_MIN;
  return static_cast<int32_t>(value);
}

// floor(sum * factor + 1/2).
static inline int32_t RequantizeSingle(int32_t sum, Requantization factor) {
  const int32_t right = 31 - factor.shift;
  const int64_t product = static_cast<int64_t>(sum) * factor.multiplier;
  return SaturateToInt32((product + (int64_t{1} << (right - 1))) >> right);
}

// gemmlowp's SaturatingRoundingDoublingHighMul, then its RoundingDivideByPOT.
static inline int32_t RequantizeDouble(int32_t sum, Requantization factor) {
  int32_t right = 0;
  if (factor.shift > 0) {
    sum = SaturateToInt32(static_cast<int64_t>(sum) * (int64_t{1} << factor.shift));
  } else {
    right = -factor.shift;
  }
  const int64_t product = static_cast<int64_t>(sum) * factor.multiplier;
  const int32_t high = static_cast<int32_t>((product + (int64_t{1} << 30)) >> 31);
  const int32_t mask = static_cast<int32_t>((1u << right) - 1);
  const int32_t threshold = (mask >> 1) + (high < 0 ? 1 : 0);
  return (high >> right) + ((high & mask) > threshold ? 1 : 0);
}

// `sum` times the factor, rounded as `rounding` says and clamped to int32.
static inline int32_t Requantize(int32_t sum, Requantization factor, Rounding rounding) {
  return rounding == Rounding::kSingle ? RequantizeSingle(sum, factor)
                                       : RequantizeDouble(sum, factor);
}

// Sums of products of 16-bit activations need more than 32 bits; all have magnitudes below 2**40.
// TFLite scales them in two ways as well. Single: the same. Double: one rounding too, but that of
// the multiplier to 15 bits comes before (TFLite's convolutions, TFLM).

// The multiplier of a factor, rounded to 15 bits: the real factor is then multiplier * 2**(shift -
// 15).
static inline int64_t ReducedMultiplier(Requantization factor) {
  const int64_t magnitude = factor.multiplier < 0 ? -int64_t{factor.multiplier} : factor.multiplier;
  const int64_t reduced = magnitude < 0x7FFF0000 ? (magnitude + (1 << 15)) >> 16 : 0x7FFF;
  return factor.multiplier < 0 ? -reduced : reduced;
}

// A sum so clamped that its product with a multiplier fits: a factor of 2**14 or more takes what is
// beyond out of the range of any code.
static inline int64_t ClampToInt21(int64_t sum) {
  constexpr int64_t kLargest = 1 << 20;
  return sum < -kLargest ? -kLargest : sum > kLargest ? kLargest : sum;
}

// floor(sum * factor + 1/2), or another number that int16 does not hold either.
static inline int64_t RequantizeInt16Single(int64_t sum, Requantization factor) {
  const int32_t right = 31 - factor.shift;
  const int64_t multiplier = factor.multiplier;
  if (right < 16) {
    return (ClampToInt21(sum) * multiplier + (int64_t{1} << (right - 1))) >> right;
  }
  // The product without its lowest 15 bits, which change nothing.
  const int64_t high = (sum >> 15) * multiplier + (((sum & 0x7FFF) * multiplier) >> 15);
  return (high + (int64_t{1} << (right - 16))) >> (right - 15);
}

// The same with a reduced multiplier.
static inline int64_t RequantizeInt16Double(int64_t sum, Requantization factor) {
  const int64_t multiplier = ReducedMultiplier(factor);
  const int32_t right = 15 - factor.shift;
  if (right < 1) return ClampToInt21(sum) * multiplier * (int64_t{1} << -right);
  return (sum * multiplier + (int64_t{1} << (right - 1))) >> right;
}

static inline int64_t RequantizeInt16(int64_t sum, Requantization factor, Rounding rounding) {
  return rounding == Rounding::kSingle ? RequantizeInt16Single(sum, factor)
                                       : RequantizeInt16Double(sum, factor);
}

}  // namespace edgeax
