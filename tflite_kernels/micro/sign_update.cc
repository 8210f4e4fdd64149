#include "tflite_kernels/micro/sign_update.h"

namespace edgeax {
namespace micro {
namespace {

constexpr int32_t kMostBias = 1 << 30;

int32_t SumOf(const BiasUpdateArgs& args, const int16_t* codes, int32_t output) {
  int32_t sum = 0;
  for (int32_t pixel = 0; pixel < args.pixels; ++pixel) {
    sum += ShiftedRight(codes[pixel * args.outputs + output], args.shift);
  }
  return sum;
}

}  // namespace

void UpdateBias(const BiasUpdateArgs& args, const int16_t* gradient, int32_t* bias,
                uint32_t* random) {
  const int16_t* codes = gradient + kGradientHead;
  int32_t largest = 0;
  for (int32_t o = 0; o < args.outputs; ++o) {
    const int32_t magnitude = Magnitude(SumOf(args, codes, o));
    if (magnitude > largest) largest = magnitude;
  }
  const int32_t least = LeastGradient(args.rule, largest);
  for (int32_t o = 0; o < args.outputs; ++o) {
    const int32_t sum = SumOf(args, codes, o);
    if (Magnitude(sum) < least || Magnitude(sum) < args.least_sum) continue;
    if (!IsDrawn(args.rule.rate_bits, random)) continue;
    const int32_t moved = bias[o] - (sum > 0 ? args.bias_step : -args.bias_step);
    bias[o] = Clamped(moved, {-kMostBias, kMostBias});
  }
}

}  // namespace micro
}  // namespace edgeax
