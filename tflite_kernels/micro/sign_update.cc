#include "tflite_kernels/micro/sign_update.h"

namespace edgeax {
namespace micro {
namespace {

constexpr int32_t kMostBias = 1 << 30;

int32_t SumOf(const BiasUpdateArgs& args, const int16_t* codes) {
  int32_t sum = 0;
  for (int32_t pixel = 0; pixel < args.pixels; ++pixel, codes += args.outputs) {
    sum += ShiftedRight(*codes, args.shift);
  }
  return sum;
}

}  // namespace

void UpdateBias(const BiasUpdateArgs& args, const int16_t* gradient, int32_t* bias,
                uint32_t* random) {
  const int16_t* codes = gradient + kGradientHead;
  for (int32_t o = 0; o < args.outputs; ++o) {
    const int32_t sum = SumOf(args, codes + o);
    if (sum == 0 || Magnitude(sum) < args.least_sum) continue;
    if (!IsDrawn(args.rate_bits, random)) continue;
    const int32_t moved = bias[o] - (sum > 0 ? args.step : -args.step);
    bias[o] = Clamped(moved, {-kMostBias, kMostBias});
  }
}

}  // namespace micro
}  // namespace edgeax
