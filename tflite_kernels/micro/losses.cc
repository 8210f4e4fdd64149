#include "tflite_kernels/micro/losses.h"

namespace edgeax {
namespace micro {
namespace {

constexpr int32_t kOne = 1 << 15;

// log2(x), x > 0, in units of 2**-16, rounded down: squaring tells one bit after the other.
int32_t Log2(uint32_t x) {
  const int32_t leading = __builtin_clz(x);
  uint32_t mantissa = x << leading;
  int32_t result = 31 - leading;
  for (int32_t i = 0; i < 16; ++i) {
    const uint64_t square = (uint64_t{mantissa} * mantissa) >> 31;
    const int32_t bit = static_cast<int32_t>(square >> 32);
    mantissa = static_cast<uint32_t>(square >> bit);
    result = 2 * result + bit;
  }
  return result;
}

void ClearBelow(int32_t least, int32_t count, int16_t* gradient) {
  int16_t* codes = gradient + kGradientHead;
  for (int32_t i = 0; i < count; ++i) {
    if (Magnitude(codes[i]) >= least) return;
  }
  for (int32_t i = 0; i < count; ++i) codes[i] = 0;
}

}  // namespace

void CrossEntropy(const CrossEntropyArgs& args, const int8_t* scores, const int32_t* label,
                  int16_t* gradient, int32_t* loss) {
  int32_t largest = scores[0];
  for (int32_t o = 1; o < args.outputs; ++o) largest = scores[o] > largest ? scores[o] : largest;
  uint32_t sum = 0;
  for (int32_t o = 0; o < args.outputs; ++o) sum += args.exponentials[largest - scores[o]];
  SetExponent(gradient, -15);
  for (int32_t o = 0; o < args.outputs; ++o) {
    const uint32_t exponential = args.exponentials[largest - scores[o]];
    const int32_t probability = static_cast<int32_t>((exponential * kOne + sum / 2) / sum);
    const int32_t error = probability - (o == *label ? kOne : 0);
    gradient[kGradientHead + o] = static_cast<int16_t>(Clamped(error, {1 - kOne, kOne - 1}));
  }
  ClearBelow(args.least_error, args.outputs, gradient);
  constexpr int64_t kLn2 = 45426;  // in units of 2**-16
  const int64_t of_sum = ((Log2(sum) - (15 << 16)) * kLn2) >> 16;
  *loss = (largest - scores[*label]) * args.loss_step + static_cast<int32_t>(of_sum);
}

void MeanSquare(const MeanSquareArgs& args, const int8_t* output, const int8_t* target,
                int16_t* gradient, int32_t* loss) {
  int32_t squares = 0;
  SetExponent(gradient, -7);
  for (int32_t o = 0; o < args.outputs; ++o) {
    const int32_t difference = output[o] - target[o];
    squares += difference * difference;
    gradient[kGradientHead + o] = static_cast<int16_t>(difference * 128);
  }
  ClearBelow(args.least_error, args.outputs, gradient);
  *loss = RequantizeDouble(squares, args.loss_factor);
}

}  // namespace micro
}  // namespace edgeax
