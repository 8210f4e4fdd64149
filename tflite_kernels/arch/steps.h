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

template <typename Number>
static inline Number LoadNumber(const void* from) {
  Number number;
  memcpy(&number, from, sizeof(number));
  return number;
}

// How far from 0 a weight can be: -128 is.
constexpr int32_t kLargestWeight = 128;

// What the codes in a nibble stand for: table j has the value of code number j by the whole nibble,
// so that there are one table for codes of 4 bits, two for 2 bits and four for 1 bit.
struct NibbleTables {
  int8_t values[4][kCodebookEntries];
  int32_t largest;  // no value is farther from 0
};

// Returns how far from 0 a weight of some codebooks is at most.
static inline int32_t LargestOf(Span<const int8_t> codebooks) {
  int32_t largest = 0;
  for (size_t i = 0; i < codebooks.size; ++i) {
    const int32_t value = codebooks.data[i], size = value < 0 ? -value : value;
    largest = size > largest ? size : largest;
  }
  return largest;
}

static inline NibbleTables TablesOf(Span<const int8_t> codebook) {
  const int32_t bits = CodeBits(codebook.size);
  NibbleTables tables = {};
  for (int32_t j = 0; j * bits < 4; ++j) {
    for (int32_t nibble = 0; nibble < kCodebookEntries; ++nibble) {
      tables.values[j][nibble] = codebook.data[(nibble >> (j * bits)) & ((1 << bits) - 1)];
    }
  }
  tables.largest = LargestOf(codebook);
  return tables;
}

// -zero point * sum: what the zero point adds to the sum of a column.
static inline int32_t ZeroPointOffset(int32_t weight_sum, const Quantization& quantization) {
  return static_cast<int32_t>(0u - static_cast<uint32_t>(weight_sum) *
                                       static_cast<uint32_t>(quantization.input_zero_point));
}

}  // namespace edgeax
