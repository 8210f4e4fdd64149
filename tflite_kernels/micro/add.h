#pragma once  // micro/add.h: sums and differences of codes of two scales.

#include "tflite_kernels/micro/broadcast.h"

namespace edgeax {
namespace micro {

// As TFLM adds. The operand with the larger scale is `a`: its factor is a power of two, exactly.
// sum = (a - a_zero_point) * a_weight
//       + b_weight * ((b - b_zero_point) * 2**b_shift * b_factor)
// output = Clamped(sum * output_factor + output_zero_point), factors rounded twice.
// b_weight is 1 or -1; the shifts of the factors are not positive.
struct AddArgs {
  int32_t a_zero_point, b_zero_point, output_zero_point;
  int32_t a_weight, b_weight;
  int32_t b_shift;
  Requantization b_factor, output_factor;
  Clamp clamp;
};

// As XNNPACK adds: output = Clamped(((bias + a * a_weight + b * b_weight) >> shift) +
// output_zero_point).
struct WeightedAddArgs {
  int32_t bias, a_weight, b_weight;
  int32_t shift;
  int32_t output_zero_point;
  Clamp clamp;
};

struct BroadcastAddArgs {
  AddArgs add;
  Broadcast broadcast;
};

struct BroadcastWeightedAddArgs {
  WeightedAddArgs add;
  Broadcast broadcast;
};

// The output may be the memory of an operand that is as large.
void Add(const AddArgs& args, int32_t count, const int8_t* a, const int8_t* b, int8_t* output);
void Add(const AddArgs& args, int32_t count, const int16_t* a, const int16_t* b, int16_t* output);
void AddWeighted(const WeightedAddArgs& args, int32_t count, const int8_t* a, const int8_t* b,
                 int8_t* output);
void AddBroadcast(const BroadcastAddArgs& args, const int8_t* a, const int8_t* b, int8_t* output);
void AddBroadcast(const BroadcastAddArgs& args, const int16_t* a, const int16_t* b,
                  int16_t* output);
void AddWeightedBroadcast(const BroadcastWeightedAddArgs& args, const int8_t* a, const int8_t* b,
                          int8_t* output);

}  // namespace micro
}  // namespace edgeax
