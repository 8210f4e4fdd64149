#pragma once  // arch/expand_x86.h: sparse weights with their zeros, on any x86 with a byte shuffle.

#include <immintrin.h>

#include "tflite_kernels/arch/sparse_matmul.h"

namespace edgeax {
namespace {

struct ExpandX86 {
  static __m128i Expand8(uint8_t mask, const int8_t* values) {
    return _mm_shuffle_epi8(
        _mm_loadl_epi64(reinterpret_cast<const __m128i*>(values)),
        _mm_loadl_epi64(reinterpret_cast<const __m128i*>(kExpandTable.index[mask])));
  }

  // 16 weights of a mask with their zeros. Reads 16 values; `values` becomes the next one.
  static __m128i Expand(const uint8_t* mask, const int8_t** values) {
    const __m128i first = Expand8(mask[0], *values);
    *values += kExpandTable.count[mask[0]];
    const __m128i second = Expand8(mask[1], *values);
    *values += kExpandTable.count[mask[1]];
    return _mm_unpacklo_epi64(first, second);
  }

  // Writes them; returns the next value.
  static const int8_t* Expand16(const uint8_t* mask, const int8_t* values, int8_t* to) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), Expand(mask, &values));
    return values;
  }
};

}  // namespace
}  // namespace edgeax
