#pragma once  // micro/extremes.h: the largest and the smallest.

#include "tflite_kernels/micro/broadcast.h"

namespace edgeax {
namespace micro {

enum class Extreme : int32_t { kMinimum = 0, kMaximum = 1 };

// The place, along the middle one of three dimensions, of the first of the largest or smallest
// codes there.
struct ArgExtremeArgs {
  Extreme extreme;
  int32_t outer, size, inner;
};

void ArgExtreme(const ArgExtremeArgs& args, const int8_t* input, int32_t* output);
void ArgExtreme(const ArgExtremeArgs& args, const int8_t* input, int64_t* output);
void ArgExtreme(const ArgExtremeArgs& args, const int16_t* input, int32_t* output);
void ArgExtreme(const ArgExtremeArgs& args, const int16_t* input, int64_t* output);

// The larger or the smaller one of two codes.
struct ExtremeArgs {
  Extreme extreme;
  Broadcast broadcast;
};

// `output` may be an input that has as many elements.
void ExtremeOf(const ExtremeArgs& args, const int8_t* first, const int8_t* second, int8_t* output);
void ExtremeOf(const ExtremeArgs& args, const int16_t* first, const int16_t* second,
               int16_t* output);

}  // namespace micro
}  // namespace edgeax
