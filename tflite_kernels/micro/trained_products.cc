#include "tflite_kernels/micro/trained_products.h"

namespace edgeax {
namespace micro {

void AddInnerProducts(const int8_t* codes, int32_t zero_point, const int8_t* rows, int32_t step,
                      int32_t count, int32_t* sums) {
  EDGEAX_MICRO_PRODUCTS::AddInnerProducts(codes, zero_point, rows, step, count, sums);
}

void AddScaledRows(int32_t factor0, const int8_t* row0, int32_t factor1, const int8_t* row1,
                   int32_t zero_point, int32_t count, int32_t* sums) {
  EDGEAX_MICRO_PRODUCTS::AddScaledRows(factor0, row0, factor1, row1, zero_point, count, sums);
}

}  // namespace micro
}  // namespace edgeax
