#pragma once  // micro/lookup.h: element-wise functions of one input that are read from tables.

#include "tflite_kernels/micro/types.h"

namespace edgeax {
namespace micro {

// Any function of an 8-bit code: `table` holds the outputs of the codes 0 to 127, then of those of
// -128 to -1.
struct LookupArgs {
  const int8_t* table;
};

// `output` may be `input`.
void Lookup(const LookupArgs& args, int32_t count, const int8_t* input, int8_t* output);

// How a 16-bit code becomes a place in the table of micro/sigmoid_table.h: times the real number
// multiplier * 2**-shift, rounded half up.
struct CurveArgs {
  int32_t multiplier, shift;
};

// Codes with zero point 0 to codes of the scale 2**-15. `output` may be `input`.
void Logistic(const CurveArgs& args, int32_t count, const int16_t* input, int16_t* output);
void Tanh(const CurveArgs& args, int32_t count, const int16_t* input, int16_t* output);

}  // namespace micro
}  // namespace edgeax
