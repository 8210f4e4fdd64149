#pragma once  // micro/trained_products_portable.h: products of layers that learn, on any processor.

#include "tflite_kernels/micro/types.h"

namespace edgeax {
namespace micro {
namespace portable {

// sums[r] += the inner product of codes less the zero point and a row of weights.
static inline void AddTwoInnerProducts(const int8_t* codes, int32_t zero_point, const int8_t* row0,
                                       const int8_t* row1, int32_t count, int32_t* sums) {
  int32_t sum0 = sums[0], sum1 = sums[1];
  for (int32_t i = 0; i < count; ++i) {
    const int32_t code = codes[i] - zero_point;
    sum0 += code * row0[i];
    sum1 += code * row1[i];
  }
  sums[0] = sum0;
  sums[1] = sum1;
}

// sums[i] += factor0 * (row0[i] - zero point) + factor1 * (row1[i] - zero point), factors of 16
// bits.
static inline void AddTwoScaledRows(int32_t factor0, const int8_t* row0, int32_t factor1,
                                    const int8_t* row1, int32_t zero_point, int32_t count,
                                    int32_t* sums) {
  for (int32_t i = 0; i < count; ++i) {
    sums[i] += factor0 * (row0[i] - zero_point) + factor1 * (row1[i] - zero_point);
  }
}

// sums[i] += factors[i] * (codes[i] - zero point).
template <int32_t kCount, typename T>
static inline void AddProducts(const T* factors, const int8_t* codes, int32_t zero_point,
                               int32_t* sums) {
  for (int32_t i = 0; i < kCount; ++i) sums[i] += factors[i] * (codes[i] - zero_point);
}

}  // namespace portable
}  // namespace micro
}  // namespace edgeax
