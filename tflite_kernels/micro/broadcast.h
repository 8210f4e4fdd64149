#pragma once  // micro/broadcast.h: operands that are smaller than the output.

#include "tflite_kernels/micro/types.h"

namespace edgeax {
namespace micro {

// Loops over an output, outermost first: of each its count, and how far a step of it goes in the
// first and in the second operand. In the innermost loop an operand goes by 1 or stays.
struct Broadcast {
  const int32_t* loops;
  int32_t loop_count;
};

constexpr int32_t kMostLoops = 6;

// Calls run(count, a, a_step, b, b_step, output) for every innermost loop.
template <typename Code, typename Run>
static inline void ForEachRun(const Broadcast& broadcast, const Code* a, const Code* b,
                              Code* output, const Run& run) {
  const int32_t outer = broadcast.loop_count - 1;
  const int32_t* inner = broadcast.loops + 3 * outer;
  int32_t at[kMostLoops] = {};
  for (;;) {
    run(inner[0], a, inner[1], b, inner[2], output);
    output += inner[0];
    int32_t loop = outer - 1;
    for (; loop >= 0; --loop) {
      const int32_t* of = broadcast.loops + 3 * loop;
      a += of[1];
      b += of[2];
      if (++at[loop] < of[0]) break;
      at[loop] = 0;
      a -= of[0] * of[1];
      b -= of[0] * of[2];
    }
    if (loop < 0) return;
  }
}

}  // namespace micro
}  // namespace edgeax
