#pragma once  // micro/multiply.h: products of codes.

#include "tflite_kernels/micro/broadcast.h"

namespace edgeax {
namespace micro {

// output = Clamped((a - a_zero_point) * (b - b_zero_point) * factor + output_zero_point).
struct MultiplyArgs {
  int32_t a_zero_point, b_zero_point, output_zero_point;
  Requantization factor;
  Clamp clamp;
};

struct BroadcastMultiplyArgs {
  MultiplyArgs multiply;
  Broadcast broadcast;
};

// The output may be the memory of an operand that is as large. Codes of 16 bits are rounded twice.
template <Rounding kRounding>
void Multiply(const MultiplyArgs& args, int32_t count, const int8_t* a, const int8_t* b,
              int8_t* output);
void Multiply(const MultiplyArgs& args, int32_t count, const int16_t* a, const int16_t* b,
              int16_t* output);
template <Rounding kRounding>
void MultiplyBroadcast(const BroadcastMultiplyArgs& args, const int8_t* a, const int8_t* b,
                       int8_t* output);
void MultiplyBroadcast(const BroadcastMultiplyArgs& args, const int16_t* a, const int16_t* b,
                       int16_t* output);

}  // namespace micro
}  // namespace edgeax
