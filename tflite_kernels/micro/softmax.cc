#include "tflite_kernels/micro/softmax.h"

namespace edgeax {
namespace micro {
namespace {

// Numbers are int32 in units of 2**-31 where nothing else is said.
constexpr int32_t kOne = INT32_MAX;

// a * b * 2**-31, halves up.
__attribute__((noinline)) int32_t Product(int32_t a, int32_t b) {
  return static_cast<int32_t>((int64_t{a} * b + (int64_t{1} << 30)) >> 31);
}

// a * 2**-shift, halves away from zero.
inline int32_t Shifted(int32_t a, int32_t shift) {
  const int32_t mask = static_cast<int32_t>((1u << shift) - 1);
  return (a >> shift) + ((a & mask) > (mask >> 1) + (a < 0 ? 1 : 0) ? 1 : 0);
}

inline int32_t ShiftedLeft(int32_t a, int32_t shift) {
  return SaturateToInt32(int64_t{a} * (int64_t{1} << shift));
}

// exp(x) for x in [-1/4, 0): the powers up to the fourth around -1/8.
inline int32_t ExpOfQuarter(int32_t x) {
  constexpr int32_t kExpOfEighth = 1895147668;  // exp(-1/8)
  constexpr int32_t kThird = 715827883;
  const int32_t d = x + (1 << 28);
  const int32_t d2 = Product(d, d);
  const int32_t d3 = Product(d2, d);
  const int32_t d4 = Product(d2, d2);
  const int32_t rest = Shifted(Product(Shifted(d4, 2) + d3, kThird) + d2, 1);
  return kExpOfEighth + Product(kExpOfEighth, d + rest);
}

// exp(x) for x <= 0 in units of 2**-26.
int32_t Exp(int32_t x) {
  // exp(-2**(i - 2))
  constexpr int32_t kPowers[] = {1672461947, 1302514674, 790015084, 290630308,
                                 39332535,   720401,     242};
  if (x == 0) return kOne;
  constexpr int32_t kQuarter = 1 << 24;
  const int32_t in_quarter = (x & (kQuarter - 1)) - kQuarter;
  int32_t result = ExpOfQuarter(ShiftedLeft(in_quarter, 5));
  const int32_t quarters = (in_quarter - x) >> 24;
  for (int32_t i = 0; i < 7; ++i) {
    if ((quarters >> i) & 1) result = Product(result, kPowers[i]);
  }
  return result;
}

// 1 / (1 + x) for x in [0, 1), by Newton's method; within it in units of 2**-29.
int32_t ReciprocalOfOnePlus(int32_t x) {
  constexpr int32_t k48Over17 = 1515870810;
  constexpr int32_t kMinus32Over17 = -1010580540;
  const int32_t half = static_cast<int32_t>((int64_t{x} + kOne + 1) / 2);
  int32_t y = k48Over17 + Product(half, kMinus32Over17);
  for (int32_t i = 0; i < 3; ++i) {
    const int32_t left = (1 << 29) - Product(half, y);
    y += ShiftedLeft(Product(y, left), 2);
  }
  return ShiftedLeft(y, 1);
}

// exp of the difference of two codes, 0 where it is too small to count.
inline int32_t ExpOfDifference(const SoftmaxArgs& args, int32_t difference) {
  if (difference < args.least_difference) return 0;
  return Exp(Product(difference * (1 << args.factor.shift), args.factor.multiplier));
}

template <typename Code>
void Row(const SoftmaxArgs& args, const int8_t* input, Code* output) {
  constexpr int32_t kBits = 8 * sizeof(Code);
  constexpr int32_t kLowest = -(1 << (kBits - 1));
  int32_t largest = input[0];
  for (int32_t i = 1; i < args.depth; ++i) largest = input[i] > largest ? input[i] : largest;
  int32_t sum = 0;  // in units of 2**-19
  for (int32_t i = 0; i < args.depth; ++i) {
    sum += Shifted(ExpOfDifference(args, input[i] - largest), 12);
  }
  const int32_t headroom = __builtin_clz(static_cast<uint32_t>(sum));
  const uint32_t mantissa = static_cast<uint32_t>(sum) << headroom;
  const int32_t scale = ReciprocalOfOnePlus(static_cast<int32_t>(mantissa - (1u << 31)));
  const int32_t shift = 12 - headroom + 31 - kBits;
  for (int32_t i = 0; i < args.depth; ++i) {
    const int32_t exponential = ExpOfDifference(args, input[i] - largest);
    const int32_t code = Shifted(Product(scale, exponential), shift) + kLowest;
    output[i] = static_cast<Code>(Clamped(code, {kLowest, -kLowest - 1}));
  }
}

template <typename Code>
void Run(const SoftmaxArgs& args, const int8_t* input, Code* output) {
  for (int32_t row = 0; row < args.rows; ++row) {
    Row(args, input, output);
    input += args.depth;
    output += args.depth;
  }
}

}  // namespace

void Softmax(const SoftmaxArgs& args, const int8_t* input, int8_t* output) {
  Run(args, input, output);
}

void Softmax(const SoftmaxArgs& args, const int8_t* input, int16_t* output) {
  Run(args, input, output);
}

}  // namespace micro
}  // namespace edgeax
