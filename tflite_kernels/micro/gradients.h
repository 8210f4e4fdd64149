#pragma once  // micro/gradients.h: gradients by activations, in integers.
              // Python twin: edgeax/runtime/mcu/oracle_gradients.py.

#include "tflite_kernels/micro/types.h"

namespace edgeax {
namespace micro {

// A gradient is int16 codes of one exponent, real = code * 2**exponent, in [-32767, 32767]: block
// floating point. In memory the exponent comes first, an int32, then 4 bytes of nothing, then the
// codes. Sums are the same of int32, in [-2**30, 2**30].
constexpr int32_t kGradientHead = 4, kSumsHead = 2;  // elements before the codes

// The exponent of gradients that are 0 all over: far below any other.
constexpr int32_t kNoExponent = -1000000;

static inline int32_t ExponentOf(const void* gradient) {
  int32_t exponent;
  __builtin_memcpy(&exponent, gradient, sizeof(exponent));
  return exponent;
}

static inline void SetExponent(void* gradient, int32_t exponent) {
  __builtin_memcpy(gradient, &exponent, sizeof(exponent));
}

static inline int32_t Magnitude(int32_t x) { return x < 0 ? -x : x; }

// |x| where it is above `largest`, in [0, 2**31), or else that.
static inline int32_t LargerMagnitude(int32_t largest, int32_t x) {
  const uint32_t most = static_cast<uint32_t>(largest);
  return static_cast<uint32_t>(x) + most > 2 * most ? Magnitude(x) : largest;
}

// x / 2**bits, halves up; bits in [0, 31], x + 2**(bits - 1) fits int32.
static inline int32_t ShiftedRight(int32_t x, int32_t bits) {
  return bits == 0 ? x : (x + (1 << (bits - 1))) >> bits;
}

struct GradientArgs {
  int32_t count;
};

// Writes sums as codes: shifted so that the largest magnitude has 15 bits. `gradient` may be the
// memory of `sums`.
void NarrowGradient(const GradientArgs& args, const int32_t* sums, int16_t* gradient);

// out = a + b, each of its own exponent. `out` may be the memory of `a` or `b`.
void JoinGradients(const GradientArgs& args, const int16_t* a, const int16_t* b, int16_t* out);

// The codes of an activation that lie at a limit pass no gradient.
struct ClampMaskArgs {
  int32_t count;
  Clamp clamp;
};

// Bit i % 8 of byte i / 8: whether code i lies between the limits.
void ClampMask(const ClampMaskArgs& args, const int8_t* codes, uint8_t* mask);

// Leaves the codes whose bit is set, others are 0. `out` may be the memory of `gradient`.
void MaskGradient(const GradientArgs& args, const int16_t* gradient, const uint8_t* mask,
                  int16_t* out);

struct KeepChannelsArgs {
  int32_t pixels, channels, kept;
};

// The first channels of every pixel.
void KeepChannels(const KeepChannelsArgs& args, const int8_t* codes, int8_t* out);

}  // namespace micro
}  // namespace edgeax
