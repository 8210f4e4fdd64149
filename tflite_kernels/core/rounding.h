#pragma once  // core/rounding.h: int32 sums to int8 codes. Python twin: edgeax/formats/rounding.py.

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
  const int32_t left = factor.shift > 0 ? factor.shift : 0;
  const int32_t right = factor.shift > 0 ? 0 : -factor.shift;
  const int32_t shifted = SaturateToInt32(static_cast<int64_t>(sum) * (int64_t{1} << left));
  const int64_t product = static_cast<int64_t>(shifted) * factor.multiplier;
  const int64_t nudge = product >= 0 ? (int64_t{1} << 30) : 1 - (int64_t{1} << 30);
  const int32_t high = SaturateToInt32((product + nudge) / (int64_t{1} << 31));
  const int64_t mask = (int64_t{1} << right) - 1;
  const int64_t threshold = (mask >> 1) + (high < 0 ? 1 : 0);
  return static_cast<int32_t>((high >> right) + ((high & mask) > threshold ? 1 : 0));
}

// `sum` times the factor, rounded as `rounding` says and clamped to int32.
static inline int32_t Requantize(int32_t sum, Requantization factor, Rounding rounding) {
  return rounding == Rounding::kSingle ? RequantizeSingle(sum, factor)
                                       : RequantizeDouble(sum, factor);
}

}  // namespace edgeax
