#pragma once  // arch/float_codebook.h: codebooks whose values follow from the bits of a code.

#include <string.h>

#include "tflite_kernels/core/float_fully_connected.h"

namespace edgeax {

// Codes of 8 bits that are floats of a sign, an exponent and a mantissa: the exponent, of 1 to 5
// bits, is biased as in a float of 16 bits. Without subnormals the lowest exponent, which is then
// one higher, is that of normal numbers too, and only the mantissa 0 beside it is 0.
struct ShortFloats {
  int32_t exponent_bits;
  bool has_subnormals;
};

static inline bool IsNan(float value) { return value != value; }

// The bits of a float, all NaN being one.
static inline uint32_t BitsOf(float value) {
  uint32_t bits = 0x7FC00000u;
  if (!IsNan(value)) memcpy(&bits, &value, sizeof(bits));
  return bits;
}

// What a code stands for, as BitsOf gives it.
static inline uint32_t ShortFloatBits(const ShortFloats& floats, int32_t code) {
  constexpr int32_t kHighest = 31, kBiases = 127 - 15;
  const int32_t magnitude = code & 127;
  const int32_t mantissa_bits = 7 - floats.exponent_bits;
  const bool is_lifted = !floats.has_subnormals && magnitude != 0;
  const int32_t exponent = (magnitude >> mantissa_bits) + (is_lifted ? 1 : 0);
  const uint32_t mantissa = static_cast<uint32_t>(magnitude & ((1 << mantissa_bits) - 1))
                            << (23 - mantissa_bits);
  const uint32_t sign = static_cast<uint32_t>(code & 128) << 24;
  if (exponent == kHighest) return mantissa != 0 ? BitsOf(__builtin_nanf("")) : sign | 0x7F800000u;
  if (exponent > 0) return sign | static_cast<uint32_t>(exponent + kBiases) << 23 | mantissa;
  constexpr float kSubnormal = 1.0f / (1 << 14) / (1 << 23);
  return sign | BitsOf(static_cast<float>(mantissa) * kSubnormal);
}

// Whether the 256 values are those of short floats, and which.
static inline bool FindShortFloats(const float* codebook, ShortFloats* floats) {
  constexpr ShortFloats kKinds[] = {{1, true},  {1, false}, {2, true},  {2, false}, {3, true},
                                    {3, false}, {4, true},  {4, false}, {5, true}};
  for (const ShortFloats& kind : kKinds) {
    int32_t code = 0;
    while (code < 256 && BitsOf(codebook[code]) == ShortFloatBits(kind, code)) ++code;
    *floats = kind;
    if (code == 256) return true;
  }
  return false;
}

// Whether each of the 256 values is its code as an int8.
static inline bool AreIntegers(const float* codebook) {
  int32_t code = 0;
  while (code < 256 && BitsOf(codebook[code]) == BitsOf(static_cast<int8_t>(code))) ++code;
  return code == 256;
}

}  // namespace edgeax
