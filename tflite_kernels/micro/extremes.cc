#include "tflite_kernels/micro/extremes.h"

namespace edgeax {
namespace micro {
namespace {

template <typename Code, typename Place>
void FindPlaces(const ArgExtremeArgs& args, const Code* input, Place* output) {
  // The smallest code is the largest one of the mirrored codes.
  const int32_t sign = args.extreme == Extreme::kMaximum ? 1 : -1;
  for (int32_t outer = 0; outer < args.outer; ++outer) {
    for (int32_t inner = 0; inner < args.inner; ++inner) {
      const Code* code = input + inner;
      int32_t place = 0, largest = sign * *code;
      for (int32_t index = 1; index < args.size; ++index) {
        code += args.inner;
        if (sign * *code <= largest) continue;
        largest = sign * *code;
        place = index;
      }
      *output++ = place;
    }
    input += args.size * args.inner;
  }
}

template <typename Code>
Code* ExtremesOf(Extreme extreme, const int32_t* loop, const Code* first, const Code* second,
                 Code* output) {
  for (int32_t left = loop[0]; left > 0; --left, first += loop[1], second += loop[2]) {
    const bool takes_first = extreme == Extreme::kMaximum ? *first > *second : *first < *second;
    *output++ = takes_first ? *first : *second;
  }
  return output;
}

template <typename Code>
void LoopOver(const ExtremeArgs& args, const Code* first, const Code* second, Code* output) {
  const int32_t* const innermost = args.axes + 3 * (args.axis_count - 1);
  int32_t done[kMaxExtremeAxes] = {};
  for (;;) {
    output = ExtremesOf(args.extreme, innermost, first, second, output);
    int32_t axis = args.axis_count - 2;
    while (axis >= 0 && ++done[axis] == args.axes[3 * axis]) done[axis--] = 0;
    if (axis < 0) return;
    first += args.axes[3 * axis + 1];
    second += args.axes[3 * axis + 2];
  }
}

}  // namespace

void ArgExtreme(const ArgExtremeArgs& args, const int8_t* input, int32_t* output) {
  FindPlaces(args, input, output);
}

void ArgExtreme(const ArgExtremeArgs& args, const int8_t* input, int64_t* output) {
  FindPlaces(args, input, output);
}

void ArgExtreme(const ArgExtremeArgs& args, const int16_t* input, int32_t* output) {
  FindPlaces(args, input, output);
}

void ArgExtreme(const ArgExtremeArgs& args, const int16_t* input, int64_t* output) {
  FindPlaces(args, input, output);
}

void ExtremeOf(const ExtremeArgs& args, const int8_t* first, const int8_t* second, int8_t* output) {
  LoopOver(args, first, second, output);
}

void ExtremeOf(const ExtremeArgs& args, const int16_t* first, const int16_t* second,
               int16_t* output) {
  LoopOver(args, first, second, output);
}

}  // namespace micro
}  // namespace edgeax
