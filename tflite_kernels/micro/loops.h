#pragma once  // micro/loops.h: ways through a tensor.

#include "tflite_kernels/micro/types.h"

namespace edgeax {
namespace micro {

// Loops, outermost first: of each its count and the step in the input.
struct Loops {
  const int32_t* loops;
  int32_t count;
};

constexpr int32_t kMostReduceLoops = 4;

// Goes through some loops; `offset` is where it stands.
struct Walk {
  int32_t at[kMostReduceLoops] = {};
  int32_t offset = 0;
};

// Steps; returns whether there was a step left.
static inline bool Step(const Loops& loops, Walk* walk) {
  for (int32_t loop = loops.count - 1; loop >= 0; --loop) {
    const int32_t count = loops.loops[2 * loop];
    const int32_t step = loops.loops[2 * loop + 1];
    walk->offset += step;
    if (++walk->at[loop] < count) return true;
    walk->at[loop] = 0;
    walk->offset -= count * step;
  }
  return false;
}

}  // namespace micro
}  // namespace edgeax
