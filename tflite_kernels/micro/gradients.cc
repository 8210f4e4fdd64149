#include "tflite_kernels/micro/gradients.h"

namespace edgeax {
namespace micro {
namespace {

constexpr int32_t kMost = 32767;

inline int32_t SumAt(const int32_t* sums, int32_t i) {
  int32_t sum;  // as bytes: codes may have been written to the same memory
  const void* at = reinterpret_cast<const uint8_t*>(sums) + 4 * (kSumsHead + i);
  __builtin_memcpy(&sum, __builtin_assume_aligned(at, 4), sizeof(sum));
  return sum;
}

// How far to shift to the right, negative: to the left, so that a magnitude has 15 bits.
inline int32_t ShiftOf(int32_t largest) {
  return 17 - __builtin_clz(static_cast<uint32_t>(largest));
}

inline int16_t Narrowed(int32_t sum, int32_t shift) {
  const int32_t code = shift < 0 ? sum * (1 << -shift) : ShiftedRight(sum, shift);
  return static_cast<int16_t>(Clamped(code, {-kMost, kMost}));
}

}  // namespace

void NarrowGradient(const GradientArgs& args, const int32_t* sums, int16_t* gradient) {
  int32_t largest = 0;
  for (int32_t i = 0; i < args.count; ++i) largest = LargerMagnitude(largest, SumAt(sums, i));
  const int32_t shift = largest == 0 ? 0 : ShiftOf(largest);
  SetExponent(gradient, largest == 0 ? kNoExponent : ExponentOf(sums) + shift);
  int16_t* codes = gradient + kGradientHead;
  for (int32_t i = 0; i < args.count; ++i) codes[i] = Narrowed(SumAt(sums, i), shift);
}

void JoinGradients(const GradientArgs& args, const int16_t* a, const int16_t* b, int16_t* out) {
  const bool a_is_large = ExponentOf(a) >= ExponentOf(b);
  const int16_t* large = a_is_large ? a : b;
  const int16_t* small = a_is_large ? b : a;
  const int32_t high = ExponentOf(large), low = ExponentOf(small);
  const int32_t unit = high - 15 > low ? high - 15 : low;
  const int32_t left = high - unit, right = unit - low < 31 ? unit - low : 31;
  const auto sum = [=](int32_t i) {
    return large[kGradientHead + i] * (1 << left) + ShiftedRight(small[kGradientHead + i], right);
  };
  int32_t largest = 0;
  for (int32_t i = 0; i < args.count; ++i) largest = LargerMagnitude(largest, sum(i));
  const int32_t shift = largest == 0 ? 0 : ShiftOf(largest);
  for (int32_t i = 0; i < args.count; ++i) out[kGradientHead + i] = Narrowed(sum(i), shift);
  SetExponent(out, largest == 0 ? kNoExponent : unit + shift);
}

void ClampMask(const ClampMaskArgs& args, const int8_t* codes, uint8_t* mask) {
  for (int32_t byte = 0; 8 * byte < args.count; ++byte) {
    uint32_t bits = 0;
    for (int32_t bit = 0; bit < 8 && 8 * byte + bit < args.count; ++bit) {
      const int32_t code = codes[8 * byte + bit];
      bits |= static_cast<uint32_t>(code > args.clamp.min && code < args.clamp.max) << bit;
    }
    mask[byte] = static_cast<uint8_t>(bits);
  }
}

void MaskGradient(const GradientArgs& args, const int16_t* gradient, const uint8_t* mask,
                  int16_t* out) {
  SetExponent(out, ExponentOf(gradient));
  for (int32_t i = 0; i < args.count; ++i) {
    const bool passes = ((mask[i >> 3] >> (i & 7)) & 1) != 0;
    out[kGradientHead + i] = passes ? gradient[kGradientHead + i] : int16_t{0};
  }
}

void KeepChannels(const KeepChannelsArgs& args, const int8_t* codes, int8_t* out) {
  for (int32_t pixel = 0; pixel < args.pixels; ++pixel) {
    __builtin_memcpy(out + pixel * args.kept, codes + pixel * args.channels,
                     static_cast<size_t>(args.kept));
  }
}

}  // namespace micro
}  // namespace edgeax
