#include "tflite_kernels/micro/dense_training.h"

namespace edgeax {
namespace micro {
namespace {

constexpr int32_t kOne = 1 << 15;
constexpr int32_t kMostBias = 1 << 30;

inline int32_t Magnitude(int32_t x) { return x < 0 ? -x : x; }

int32_t LargestMagnitude(const int32_t* values, int32_t count) {
  int32_t largest = 0;
  for (int32_t i = 0; i < count; ++i) {
    if (Magnitude(values[i]) > largest) largest = Magnitude(values[i]);
  }
  return largest;
}

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

// Whether one of 2**bits cases comes up.
inline bool IsDrawn(int32_t bits, uint32_t* random) {
  if (bits == 0) return true;
  uint32_t x = *random;
  x ^= x << 13;
  x ^= x >> 17;
  x ^= x << 5;
  *random = x;
  return (x & ((1u << bits) - 1)) == 0;
}

}  // namespace

void DenseScores(const DenseTrainingArgs& args, const int8_t* input, const int8_t* weights,
                 const int32_t* bias, int8_t* output) {
  for (int32_t o = 0; o < args.outputs; ++o) {
    int32_t sum = bias[o];
    for (int32_t i = 0; i < args.depth; ++i) {
      sum += (input[i] - args.input_zero_point) * weights[i];
    }
    weights += args.depth;
    // Beyond what int32 less a zero point holds, every code is at its limit.
    const int32_t scaled = Clamped(RequantizeDouble(sum, FactorOf(args.factors, o)), {-512, 512});
    output[o] = static_cast<int8_t>(Clamped(scaled + args.output_zero_point, {-128, 127}));
  }
}

int32_t DenseErrors(const DenseTrainingArgs& args, const int8_t* scores, int32_t label,
                    int32_t* errors) {
  int32_t largest = scores[0];
  for (int32_t o = 1; o < args.outputs; ++o) largest = scores[o] > largest ? scores[o] : largest;
  uint32_t sum = 0;
  for (int32_t o = 0; o < args.outputs; ++o) sum += args.exponentials[largest - scores[o]];
  for (int32_t o = 0; o < args.outputs; ++o) {
    const uint32_t exponential = args.exponentials[largest - scores[o]];
    errors[o] = static_cast<int32_t>((exponential * kOne + sum / 2) / sum);
  }
  errors[label] -= kOne;
  constexpr int64_t kLn2 = 45426;  // in units of 2**-16
  const int64_t of_sum = ((Log2(sum) - (15 << 16)) * kLn2) >> 16;
  return (largest - scores[label]) * args.loss_step + static_cast<int32_t>(of_sum);
}

void DenseUpdate(const DenseTrainingArgs& args, const int8_t* input, const int32_t* errors,
                 int8_t* weights, int32_t* bias, uint32_t* random) {
  int32_t largest = 0;
  for (int32_t i = 0; i < args.depth; ++i) {
    const int32_t magnitude = Magnitude(input[i] - args.input_zero_point);
    largest = magnitude > largest ? magnitude : largest;
  }
  const int32_t least = args.dead_zone * LargestMagnitude(errors, args.outputs) * largest;
  for (int32_t o = 0; o < args.outputs; ++o, weights += args.depth) {
    const int32_t error = errors[o];
    if (error == 0 || Magnitude(error) < args.least_error) continue;
    for (int32_t i = 0; i < args.depth; ++i) {
      const int32_t gradient = error * (input[i] - args.input_zero_point);
      if (gradient == 0 || Magnitude(gradient) * 256 < least) continue;
      if (!IsDrawn(args.rate_bits, random)) continue;
      const int32_t moved = weights[i] - (gradient > 0 ? 1 : -1);
      weights[i] = static_cast<int8_t>(Clamped(moved, {-127, 127}));
    }
    if (!IsDrawn(args.rate_bits, random)) continue;
    const int32_t moved = bias[o] - (error > 0 ? args.bias_step : -args.bias_step);
    bias[o] = Clamped(moved, {-kMostBias, kMostBias});
  }
}

uint32_t Crc32(uint32_t before, const uint8_t* bytes, int32_t count) {
  uint32_t rest = ~before;
  for (int32_t i = 0; i < count; ++i) {
    rest ^= bytes[i];
    for (int32_t bit = 0; bit < 8; ++bit) {
      rest = (rest >> 1) ^ ((rest & 1) != 0 ? 0xEDB88320u : 0u);
    }
  }
  return ~rest;
}

}  // namespace micro
}  // namespace edgeax
