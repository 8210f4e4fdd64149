#pragma once  // micro/inner_product_portable.h: sums of a block of codes, one code on any
              // processor.

#include "tflite_kernels/micro/types.h"

namespace edgeax {
namespace micro {

using Block = int32_t;

constexpr int32_t kBlock = 1;

static inline Block BlockAt(const int8_t* codes) { return *codes; }

// A block is never read in part.
static inline Block PartAt(const int8_t*, int32_t) { return 0; }

static inline int32_t AddBlock(Block vector, Block weights, int32_t sum) {
  return sum + vector * weights;
}

}  // namespace micro
}  // namespace edgeax
