#pragma once  // micro/rescale.h: element-wise functions of one input that are linear in pieces.

#include "tflite_kernels/micro/types.h"

namespace edgeax {
namespace micro {

// Codes that stay as they are within limits (ReLU where input and output have one scale). `output`
// may be `input`.
void Clip(const Clamp& limits, int32_t count, const int8_t* input, int8_t* output);
void Clip(const Clamp& limits, int32_t count, const int16_t* input, int16_t* output);

// output = Clamped(output_zero_point + (input - input_zero_point) times a factor), rounded twice.
// One factor is for real numbers >= 0, one for those < 0 (leaky ReLU).
struct RescaleArgs {
  int32_t input_zero_point, output_zero_point;
  Requantization positive, negative;
  Clamp clamp;
};

// `output` may be `input` where both have one type.
void Rescale(const RescaleArgs& args, int32_t count, const int8_t* input, int16_t* output);
void Rescale(const RescaleArgs& args, int32_t count, const int16_t* input, int8_t* output);
void Rescale(const RescaleArgs& args, int32_t count, const int16_t* input, int16_t* output);

// Leaky ReLU where negative numbers are also multiplied by (slope - slope_zero_point), of `period`
// slopes that follow one another and then begin anew. A row of the image has `row` elements.
struct PReluArgs {
  int32_t input_zero_point, output_zero_point, slope_zero_point;
  Requantization positive, negative;
  int32_t row, period;
  const int8_t* slopes;
};

// `output` may be `input`.
void PRelu(const PReluArgs& args, const Rows& rows, const int8_t* input, int8_t* output);
void PRelu(const PReluArgs& args, const Rows& rows, const int16_t* input, int16_t* output);

}  // namespace micro
}  // namespace edgeax
