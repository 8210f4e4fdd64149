#pragma once  // computed_codebook.h: tables of 256 floats that some kernels compute instead of
              // looking them up.

#include <string.h>

#include "tests/tflite_kernels/memory.h"
#include "tflite_kernels/arch/float_codebook.h"

// Makes codes stand for short floats, or for whole numbers where `floats` has no exponent.
static inline void WriteComputed(const edgeax::ShortFloats& floats, Exact<float>* codebook) {
  for (size_t code = 0; code < codebook->size(); ++code) {
    const uint32_t bits = edgeax::ShortFloatBits(floats, static_cast<int32_t>(code));
    float number = static_cast<int8_t>(code);
    if (floats.exponent_bits > 0) memcpy(&number, &bits, sizeof(number));
    (*codebook)[code] = number;
  }
}
