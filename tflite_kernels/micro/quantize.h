#pragma once  // micro/quantize.h: real numbers to codes and back, at the ends of a program.

#include "tflite_kernels/micro/types.h"

namespace edgeax {
namespace micro {

// Double: `scale` is the step of the codes, the number over it is rounded half away from zero.
// Single: `scale` is 1 over the step, the number times it is rounded half to even.
// What is beyond the codes becomes the nearest one; what is no number, any.
struct QuantizeArgs {
  float scale;
  int32_t zero_point;
};

template <Rounding kRounding>
void Quantize(const QuantizeArgs& args, int32_t count, const float* input, int8_t* output);
template <Rounding kRounding>
void Quantize(const QuantizeArgs& args, int32_t count, const float* input, int16_t* output);

// Codes to real numbers: scale * (code - zero_point).
struct DequantizeArgs {
  float scale;
  int32_t zero_point;
};

void Dequantize(const DequantizeArgs& args, int32_t count, const int8_t* input, float* output);
void Dequantize(const DequantizeArgs& args, int32_t count, const int16_t* input, float* output);

}  // namespace micro
}  // namespace edgeax
