#include "tflite_kernels/micro/inner_product.h"

#if defined(EDGEAX_MICRO_PORTABLE)
#include "tflite_kernels/micro/inner_product_portable.h"
#elif defined(__ARM_FEATURE_MVE)
#include "tflite_kernels/micro/inner_product_helium.h"
#elif defined(__ARM_FEATURE_DSP)
#include "tflite_kernels/micro/inner_product_dsp.h"
#else
#include "tflite_kernels/micro/inner_product_portable.h"
#endif

namespace edgeax {
namespace micro {

void AddFourInnerProducts(const int8_t* vector, const int8_t* rows, int32_t depth, int32_t* sums) {
  const int8_t* row1 = rows + depth;
  const int8_t* row2 = row1 + depth;
  const int8_t* row3 = row2 + depth;
  int32_t sum0 = sums[0], sum1 = sums[1], sum2 = sums[2], sum3 = sums[3];
  int32_t left = depth;
  for (; left >= kBlock; left -= kBlock) {
    const Block codes = BlockAt(vector);
    sum0 = AddBlock(codes, BlockAt(rows), sum0);
    sum1 = AddBlock(codes, BlockAt(row1), sum1);
    sum2 = AddBlock(codes, BlockAt(row2), sum2);
    sum3 = AddBlock(codes, BlockAt(row3), sum3);
    vector += kBlock;
    rows += kBlock;
    row1 += kBlock;
    row2 += kBlock;
    row3 += kBlock;
  }
  if (left > 0) {
    const Block codes = PartAt(vector, left);
    sum0 = AddBlock(codes, PartAt(rows, left), sum0);
    sum1 = AddBlock(codes, PartAt(row1, left), sum1);
    sum2 = AddBlock(codes, PartAt(row2, left), sum2);
    sum3 = AddBlock(codes, PartAt(row3, left), sum3);
  }
  sums[0] = sum0;
  sums[1] = sum1;
  sums[2] = sum2;
  sums[3] = sum3;
}

}  // namespace micro
}  // namespace edgeax
