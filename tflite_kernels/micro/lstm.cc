#include "tflite_kernels/micro/lstm.h"

#include "tflite_kernels/micro/fixed_point16.h"
#include "tflite_kernels/micro/inner_product.h"
#include "tflite_kernels/micro/sigmoid_table.h"

namespace edgeax {
namespace micro {
namespace {

constexpr Clamp kInt16 = {-32768, 32767};
constexpr Clamp kInt8 = {-128, 127};
constexpr int32_t kOne = 32767;

// One copy for all its places: it is as long as the rest together.
__attribute__((noinline)) int32_t Scaled(int32_t sum, Requantization factor) {
  return RequantizeDouble(sum, factor);
}

// What a gate adds up, as codes of 2**-12.
template <Rounding kRounding>
int32_t GateSum(int32_t input, Requantization input_factor, int32_t recurrent,
                Requantization recurrent_factor) {
  const int32_t first = Clamped(Scaled(input, input_factor), kInt16);
  const int32_t second = Scaled(recurrent, recurrent_factor);
  if (kRounding == Rounding::kDouble) return Clamped(first + Clamped(second, kInt16), kInt16);
  return Clamped(SaturateToInt32(int64_t{first} + second), kInt16);
}

template <Rounding kRounding>
int32_t Sigmoid(int32_t code) {
  return kRounding == Rounding::kDouble ? TableSigmoid(code * 3) : FixedPointSigmoid(code);
}

// Of a code of 2**(bits - 15).
template <Rounding kRounding>
int32_t Tanh(int32_t code, int32_t bits) {
  if (kRounding == Rounding::kSingle) return FixedPointTanh(code, bits);
  if (bits >= 3) return TableTanh(code * (3 << (bits - 3)));
  return TableTanh((code * 3 + (1 << (2 - bits))) >> (3 - bits));
}

// A product of fractions divided by 2**exponent.
template <Rounding kRounding>
int32_t Divided(int32_t product, int32_t exponent) {
  if (kRounding == Rounding::kDouble) return Scaled(product, {1 << 30, 1 - exponent});
  const int32_t mask = (1 << exponent) - 1;
  const int32_t threshold = (mask >> 1) + (product < 0 ? 1 : 0);
  return (product >> exponent) + ((product & mask) > threshold ? 1 : 0);
}

template <Rounding kRounding>
void Step(const LstmArgs& args, const int8_t* input, const int8_t* before, int8_t* after,
          int16_t* cell) {
  const int8_t* input_weights = args.input_weights;
  const int8_t* recurrent_weights = args.recurrent_weights;
  for (int32_t unit = 0; unit < args.units; ++unit) {
    int32_t sums[4], recurrent[4];
    for (int32_t gate = 0; gate < 4; ++gate) {
      sums[gate] = args.input_bias[4 * unit + gate];
      recurrent[gate] = args.recurrent_bias[4 * unit + gate];
    }
    AddFourInnerProducts(input, input_weights, args.features, sums);
    AddFourInnerProducts(before, recurrent_weights, args.units, recurrent);
    input_weights += 4 * args.features;
    recurrent_weights += 4 * args.units;
    for (int32_t gate = 0; gate < 4; ++gate) {
      sums[gate] = GateSum<kRounding>(sums[gate], FactorOf(args.input_factors, gate),
                                      recurrent[gate], FactorOf(args.recurrent_factors, gate));
    }
    const int32_t forget = Sigmoid<kRounding>(sums[0]);
    const int32_t content = Tanh<kRounding>(sums[1], 3);
    const int32_t exit = Sigmoid<kRounding>(sums[2]);
    const int32_t entry =
        args.couples_input_to_forget != 0 ? kOne - forget : Sigmoid<kRounding>(sums[3]);
    const int32_t kept = Divided<kRounding>(forget * cell[unit], 15);
    const int32_t added = Divided<kRounding>(entry * content, 15 + args.cell_bits);
    const int32_t state = Clamped(kept + added, args.cell_limits);
    cell[unit] = static_cast<int16_t>(state);
    const int32_t shown = exit * Tanh<kRounding>(state, args.cell_bits);
    const int32_t hidden = Scaled(shown, args.hidden_factor) + args.hidden_zero_point;
    after[unit] = static_cast<int8_t>(Clamped(hidden, kInt8));
  }
}

}  // namespace

template <Rounding kRounding>
void Lstm(const LstmArgs& args, const int8_t* input, int8_t* output, int8_t* hidden,
          int16_t* cell) {
  const int32_t time_stride = args.time_major != 0 ? args.batch : 1;
  const int32_t batch_stride = args.time_major != 0 ? 1 : args.time;
  for (int32_t batch = 0; batch < args.batch; ++batch) {
    const int8_t* before = hidden;
    for (int32_t time = 0; time < args.time; ++time) {
      const int32_t row = batch * batch_stride + time * time_stride;
      int8_t* after = output + row * args.units;
      Step<kRounding>(args, input + row * args.features, before, after, cell);
      before = after;
    }
    __builtin_memcpy(hidden, before, static_cast<size_t>(args.units));
    hidden += args.units;
    cell += args.units;
  }
}

template void Lstm<Rounding::kSingle>(const LstmArgs&, const int8_t*, int8_t*, int8_t*, int16_t*);
template void Lstm<Rounding::kDouble>(const LstmArgs&, const int8_t*, int8_t*, int8_t*, int16_t*);

}  // namespace micro
}  // namespace edgeax
