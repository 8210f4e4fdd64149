#pragma once  // micro/inner_product_helium.h: sums of blocks of sixteen codes by Helium.

#include <arm_mve.h>

#include "tflite_kernels/micro/types.h"

namespace edgeax {
namespace micro {

using Block = int8x16_t;

constexpr int32_t kBlock = 16;

static inline Block BlockAt(const int8_t* codes) { return vldrbq_s8(codes); }

// The first `count` codes there and zeros for the rest.
static inline Block PartAt(const int8_t* codes, int32_t count) {
  return vldrbq_z_s8(codes, vctp8q(static_cast<uint32_t>(count)));
}

static inline int32_t AddBlock(Block vector, Block weights, int32_t sum) {
  return vmladavaq_s8(sum, vector, weights);
}

}  // namespace micro
}  // namespace edgeax
