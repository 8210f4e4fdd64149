#include "tflite_kernels/micro/fixed_point16.h"

namespace edgeax {
namespace micro {
namespace {

constexpr int32_t kOne = 32767;  // the largest fraction stands for 1

constexpr int32_t kExpOfMinusEighth = 28918;
constexpr int32_t kThird = 10923;

// In codes of 2**-13.
constexpr int32_t kQuarterOne = 8192;
constexpr int32_t k48Over17 = 23130;
constexpr int32_t kMinus32Over17 = -15420;

// exp(-2**(i - 2)) as a fraction.
constexpr int16_t kExpOfPowers[] = {25520, 19875, 12055, 4435, 600, 11, 0};

int32_t Saturated(int32_t value) { return value < -32768 ? -32768 : value > 32767 ? 32767 : value; }

int32_t Product(int32_t a, int32_t b) {
  const int32_t product = a * b;
  const int32_t nudge = product >= 0 ? 1 << 14 : 1 - (1 << 14);
  return Saturated((product + nudge) / (1 << 15));
}

// Halves go away from zero.
int32_t DividedByPower(int32_t value, int32_t exponent) {
  const int32_t mask = (1 << exponent) - 1;
  const int32_t threshold = (mask >> 1) + (value < 0 ? 1 : 0);
  return (value >> exponent) + ((value & mask) > threshold ? 1 : 0);
}

// Of a fraction in [-1/4, 0): the series around -1/8.
int32_t ExpOfSmall(int32_t fraction) {
  const int32_t x = fraction + (1 << 12);
  const int32_t square = Product(x, x);
  const int32_t cube = Product(square, x);
  const int32_t fourth = Product(square, square);
  const int32_t rest =
      DividedByPower(Product(DividedByPower(fourth, 2) + cube, kThird) + square, 1);
  return Saturated(kExpOfMinusEighth + Product(kExpOfMinusEighth, x + rest));
}

// Of a code of 2**(integer_bits - 15) that is not positive, `integer_bits` in [0, 7].
int32_t ExpOfNegative(int32_t code, int32_t integer_bits) {
  if (code == 0) return kOne;
  // exp(-32) is below a fraction's step, and its factor is not in the table.
  if (integer_bits > 5 && code < -(1 << (20 - integer_bits))) return 0;
  const int32_t fraction_bits = 15 - integer_bits;
  const int32_t quarter = 1 << (fraction_bits - 2);
  const int32_t small = (code & (quarter - 1)) - quarter;
  const int32_t quarters = small - code;
  int32_t result = ExpOfSmall(small * (1 << integer_bits));
  for (int32_t exponent = -2; exponent < integer_bits && exponent <= 4; ++exponent) {
    if ((quarters & (1 << (fraction_bits + exponent))) != 0) {
      result = Product(result, kExpOfPowers[exponent + 2]);
    }
  }
  return result;
}

// 2 / (1 + x) of a fraction x in codes of 2**-13, by Newton's method.
int32_t TwiceReciprocalOfOnePlus(int32_t fraction) {
  const int32_t half_denominator = (fraction + kOne + 1) / 2;
  int32_t x = k48Over17 + Product(half_denominator, kMinus32Over17);
  for (int32_t step = 0; step < 3; ++step) {
    const int32_t rest = kQuarterOne - Product(half_denominator, x);
    x += Saturated(Product(x, rest) * 4);
  }
  return x;
}

}  // namespace

int32_t FixedPointSigmoid(int32_t code) {
  if (code == 0) return 1 << 14;
  const int32_t exp = ExpOfNegative(code < 0 ? code : -code, 3);
  const int32_t positive = Saturated(TwiceReciprocalOfOnePlus(exp) * 2);
  return code > 0 ? positive : kOne - positive;
}

int32_t FixedPointTanh(int32_t code, int32_t integer_bits) {
  if (code == 0) return 0;
  const int32_t exp = ExpOfNegative(code < 0 ? code : -code, integer_bits + 1);
  const int32_t magnitude = Saturated((TwiceReciprocalOfOnePlus(exp) - kQuarterOne) * 4);
  return code < 0 ? -magnitude : magnitude;
}

}  // namespace micro
}  // namespace edgeax
