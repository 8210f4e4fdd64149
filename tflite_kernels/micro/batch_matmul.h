#pragma once  // micro/batch_matmul.h: products of matrices that are both computed.

#include "tflite_kernels/micro/types.h"

namespace edgeax {
namespace micro {

// output[b, i, j] = code of Sum_k (first[b, i, k] - first_zero_point) * (second[b, k, j] -
// second_zero_point).
struct BatchMatMulArgs {
  int32_t batches, rows, depth, columns;
  int32_t first_row, first_step;       // elements from i to i + 1, from k to k + 1
  int32_t second_column, second_step;  // from j to j + 1, from k to k + 1
  int32_t first_zero_point, second_zero_point, output_zero_point;
  Requantization factor;
  const int32_t* starts;  // of each batch, where its matrices begin in both inputs
};

template <Rounding kRounding>
void BatchMatMul(const BatchMatMulArgs& args, const int8_t* first, const int8_t* second,
                 int8_t* output);
// Zero points are 0.
template <Rounding kRounding>
void BatchMatMul(const BatchMatMulArgs& args, const int16_t* first, const int16_t* second,
                 int16_t* output);

}  // namespace micro
}  // namespace edgeax
