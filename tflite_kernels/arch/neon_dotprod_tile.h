#pragma once  // arch/neon_dotprod_tile.h: a tile of 8 rows and 8 columns with the dot product.

#include <stdint.h>

#include "tflite_kernels/arch/dotprod.h"
#include "tflite_kernels/arch/neon_clear.h"

namespace edgeax {
namespace {

// In assembly: GCC 12 moves each pointer by an instruction of its own.
// clang-format off

#define EDGEAX_ADD_ROW(x, lane, s0, s1)               \
  "sdot v" #s0 ".4s, v8.16b, v" #x ".4b[" #lane "]\n" \
  "sdot v" #s1 ".4s, v9.16b, v" #x ".4b[" #lane "]\n"

// Adds the products of four depths of the rows in v0 .. v7 with eight columns to the sums in v16 ..
// v31, row by row.
#define EDGEAX_ADD_FOUR(lane)       \
  "ldp q8, q9, [%[right]], #32\n"   \
  EDGEAX_ADD_ROW(0, lane, 16, 17)   \
  EDGEAX_ADD_ROW(1, lane, 18, 19)   \
  EDGEAX_ADD_ROW(2, lane, 20, 21)   \
  EDGEAX_ADD_ROW(3, lane, 22, 23)   \
  EDGEAX_ADD_ROW(4, lane, 24, 25)   \
  EDGEAX_ADD_ROW(5, lane, 26, 27)   \
  EDGEAX_ADD_ROW(6, lane, 28, 29)   \
  EDGEAX_ADD_ROW(7, lane, 30, 31)

#define EDGEAX_ADD_SIXTEEN        \
  "ldr q0, [%[r0]], #16\n"        \
  "ldr q1, [%[r1]], #16\n"        \
  "ldr q2, [%[r2]], #16\n"        \
  "ldr q3, [%[r3]], #16\n"        \
  "ldr q4, [%[r4]], #16\n"        \
  "ldr q5, [%[r5]], #16\n"        \
  "ldr q6, [%[r6]], #16\n"        \
  "ldr q7, [%[r7]], #16\n"        \
  EDGEAX_ADD_FOUR(0)              \
  EDGEAX_ADD_FOUR(1)              \
  EDGEAX_ADD_FOUR(2)              \
  EDGEAX_ADD_FOUR(3)

// sums int32 [8 rows][8 columns] of the products of rows of `depth`, a multiple of 16 above 0, with
// right int8 [depth / 4][8 columns][4].
EDGEAX_DOTPROD __attribute__((noinline)) void MultiplyTile8x8(const int8_t* const* rows,
                                                              const int8_t* right, int32_t depth,
                                                              int32_t* sums) {
  const int8_t *r0 = rows[0], *r1 = rows[1], *r2 = rows[2], *r3 = rows[3];
  const int8_t *r4 = rows[4], *r5 = rows[5], *r6 = rows[6], *r7 = rows[7];
  const int8_t* const end = r7 + depth;
  __asm__ volatile(
      EDGEAX_CLEAR(16, 17, 18, 19)
      EDGEAX_CLEAR(20, 21, 22, 23)
      EDGEAX_CLEAR(24, 25, 26, 27)
      EDGEAX_CLEAR(28, 29, 30, 31)
      "tbz %w[depth], #4, 1f\n"  // an even number of sixteens
      EDGEAX_ADD_SIXTEEN
      "cmp %[r7], %[end]\n"
      "b.eq 2f\n"
      "1:\n"
      EDGEAX_ADD_SIXTEEN
      EDGEAX_ADD_SIXTEEN
      "cmp %[r7], %[end]\n"
      "b.ne 1b\n"
      "2:\n"
      "stp q16, q17, [%[sums]]\n"
      "stp q18, q19, [%[sums], #32]\n"
      "stp q20, q21, [%[sums], #64]\n"
      "stp q22, q23, [%[sums], #96]\n"
      "stp q24, q25, [%[sums], #128]\n"
      "stp q26, q27, [%[sums], #160]\n"
      "stp q28, q29, [%[sums], #192]\n"
      "stp q30, q31, [%[sums], #224]\n"
      : [r0] "+r"(r0), [r1] "+r"(r1), [r2] "+r"(r2), [r3] "+r"(r3), [r4] "+r"(r4), [r5] "+r"(r5),
        [r6] "+r"(r6), [r7] "+r"(r7), [right] "+r"(right)
      : [end] "r"(end), [sums] "r"(sums), [depth] "r"(depth)
      : "memory", "cc", "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v16", "v17",
        "v18", "v19", "v20", "v21", "v22", "v23", "v24", "v25", "v26", "v27", "v28", "v29", "v30",
        "v31");
}

#undef EDGEAX_ADD_SIXTEEN
#undef EDGEAX_ADD_FOUR
#undef EDGEAX_ADD_ROW
// clang-format on

}  // namespace
}  // namespace edgeax
