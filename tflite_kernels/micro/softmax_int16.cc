#include "tflite_kernels/micro/softmax_int16.h"

namespace edgeax {
namespace micro {
namespace {

constexpr Clamp kInt16 = {-32768, 32767};

// What a table says of a number, which is clamped to 16 bits.
int32_t LookedUp(const int16_t* table, int32_t number) {
  const int32_t code = Clamped(number, kInt16);
  const int16_t* entry = table + 256 + (code >> 7);
  return entry[0] + (((entry[1] - entry[0]) * (code & 127) + 64) >> 7);
}

int32_t Largest(const int16_t* codes, int32_t count) {
  int32_t largest = codes[0];
  for (int32_t i = 1; i < count; ++i) largest = codes[i] > largest ? codes[i] : largest;
  return largest;
}

void Row(const SoftmaxInt16Args& args, const int16_t* input, int16_t* output) {
  const int32_t largest = Largest(input, args.depth);
  int32_t sum = 0;
  for (int32_t i = 0; i < args.depth; ++i) {
    const int32_t steps = RequantizeDouble(input[i] - largest, args.factor);
    const int32_t part = LookedUp(args.exp, steps + 32767);
    output[i] = static_cast<int16_t>(part);
    sum += part;
  }
  // The sum is (1 + x) * 2**(31 - zeros - 15), x in [0, 1).
  const int32_t zeros = __builtin_clz(static_cast<uint32_t>(sum));
  const int64_t shifted = int64_t{sum} * (int64_t{1} << (zeros - 1));
  const int32_t x = static_cast<int32_t>((shifted + (1 << 13)) >> 14) - (1 << 16) - (1 << 15);
  const int64_t reciprocal = LookedUp(args.reciprocal, x);
  const int32_t right = 31 - zeros;
  for (int32_t i = 0; i < args.depth; ++i) {
    const int64_t product = output[i] * reciprocal + (int64_t{1} << (right - 1));
    const int32_t code = static_cast<int32_t>(product >> right);
    output[i] = static_cast<int16_t>(Clamped(code, {0, 32767}));
  }
}

}  // namespace

void SoftmaxInt16(const SoftmaxInt16Args& args, const int16_t* input, int16_t* output) {
  for (int32_t row = 0; row < args.rows; ++row) {
    Row(args, input, output);
    input += args.depth;
    output += args.depth;
  }
}

}  // namespace micro
}  // namespace edgeax
