#pragma once  // arch/steps.h: small steps that kernels of several instruction sets share.

#include <string.h>

#include "tflite_kernels/core/tensors.h"

namespace edgeax {

// Copies `count` of 16 codes, without a call of memcpy.
static inline void CopyFirst(const int8_t* from, int32_t count, int8_t* to) {
  if (count < 8) {
    for (int32_t i = 0; i < count; ++i) to[i] = from[i];
    return;
  }
  memcpy(to, from, 8);
  memcpy(to + count - 8, from + count - 8, 8);
}

// Whether a value is -128. Two products of int8 fit an int16 sum unless all four factors are.
static inline bool HasLowest(const int8_t* codebook) {
  for (int32_t i = 0; i < kCodebookEntries; ++i) {
    if (codebook[i] == INT8_MIN) return true;
  }
  return false;
}

// -zero point * sum: what the zero point adds to the sum of a column.
static inline int32_t ZeroPointOffset(int32_t weight_sum, const Quantization& quantization) {
  return static_cast<int32_t>(0u - static_cast<uint32_t>(weight_sum) *
                                       static_cast<uint32_t>(quantization.input_zero_point));
}

}  // namespace edgeax
