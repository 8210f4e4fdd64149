#pragma once  // micro/trained_products_portable.h: products of layers that learn, on any processor.

#include "tflite_kernels/micro/types.h"

namespace edgeax {
namespace micro {
namespace portable {

constexpr int32_t kRows = 2;

static inline void AddInnerProducts(const int8_t* codes, int32_t zero_point, const int8_t* rows,
                                    int32_t step, int32_t count, int32_t* sums) {
  const int8_t* next = rows + step;
  int32_t sum = sums[0], next_sum = sums[1];
  for (int32_t i = 0; i < count; ++i) {
    const int32_t code = codes[i] - zero_point;
    sum += code * rows[i];
    next_sum += code * next[i];
  }
  sums[0] = sum;
  sums[1] = next_sum;
}

static inline void AddScaledRows(int32_t factor0, const int8_t* row0, int32_t factor1,
                                 const int8_t* row1, int32_t zero_point, int32_t count,
                                 int32_t* sums) {
  const int32_t offset = (factor0 + factor1) * zero_point;
  for (int32_t i = 0; i < count; ++i) sums[i] += factor0 * row0[i] + factor1 * row1[i] - offset;
}

template <int32_t kCount, typename T>
static inline void AddProducts(const T* factors, const int8_t* codes, int32_t zero_point,
                               int32_t* sums) {
  for (int32_t i = 0; i < kCount; ++i) sums[i] += factors[i] * (codes[i] - zero_point);
}

}  // namespace portable
}  // namespace micro
}  // namespace edgeax
