#pragma once  // micro/reduce_extreme.h: the largest or the smallest codes over axes.

#include "tflite_kernels/micro/loops.h"

namespace edgeax {
namespace micro {

// Of the input over the loops of `reduced`, for all of the loops of `kept`.
struct ReduceExtremeArgs {
  int32_t sign;  // 1: the largest, -1: the smallest
  Loops kept, reduced;
};

void ReduceExtreme(const ReduceExtremeArgs& args, const int8_t* input, int8_t* output);
void ReduceExtreme(const ReduceExtremeArgs& args, const int16_t* input, int16_t* output);

}  // namespace micro
}  // namespace edgeax
