#pragma once  // micro/inner_product.h: one vector of codes times four rows of weights.

#include "tflite_kernels/micro/types.h"

namespace edgeax {
namespace micro {

// sums[r] += inner product of `vector` and row r of `rows`, four rows of `depth` codes.
void AddFourInnerProducts(const int8_t* vector, const int8_t* rows, int32_t depth, int32_t* sums);

}  // namespace micro
}  // namespace edgeax
