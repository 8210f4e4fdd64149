#include "tflite_kernels/micro/float_product.h"

#include "tflite_kernels/core/multiply_add.h"

namespace edgeax {
namespace micro {
namespace {

// Adds the products of one group to its sums; returns where the codes go on.
const uint8_t* AddGroup(const FloatProductArgs& args, const uint8_t* codes, const float* x,
                        int32_t count, float* sums) {
  const uint32_t mask = (1u << args.bits) - 1;
  const int32_t per_byte = 8 / args.bits;
  for (int32_t lane = 0; count > 0; lane = (lane + 1) % kFloatLanes) {
    uint32_t byte = *codes++;
    float sum = sums[lane];
    const float* const end = x + (count < per_byte ? count : per_byte);
    for (; x < end; ++x, byte >>= args.bits) {
      sum = MultiplyAdd(*x, args.codebook[byte & mask], sum);
    }
    sums[lane] = sum;
    count -= per_byte;
  }
  return codes;
}

float Total(float* totals) {
  for (int32_t half = kFloatLanes / 2; half > 0; half /= 2) {
    for (int32_t i = 0; i < half; ++i) totals[i] += totals[i + half];
  }
  return totals[0];
}

}  // namespace

void FloatProduct(const FloatProductArgs& args, const float* input, float* output) {
  const FloatLimits limits = {args.low, args.high};
  for (int32_t row = 0; row < args.rows; ++row, input += args.depth) {
    const uint8_t* codes = args.weights;
    const float* scale = args.scale;
    for (int32_t i = 0; i < args.outputs; ++i) {
      float totals[kFloatLanes] = {};
      for (int32_t begin = 0; begin < args.depth; begin += args.group, ++scale) {
        const int32_t left = args.depth - begin;
        float sums[kFloatLanes] = {};
        codes = AddGroup(args, codes, input + begin, left < args.group ? left : args.group, sums);
        for (int32_t lane = 0; lane < kFloatLanes; ++lane) {
          totals[lane] = MultiplyAdd(*scale, sums[lane], totals[lane]);
        }
      }
      *output++ = Clamped(args.bias[i] + Total(totals), limits);
    }
  }
}

}  // namespace micro
}  // namespace edgeax
