#pragma once  // arch/sparse_neon_dotprod_tile.h: a list of weights times 64 or 32 rows, with sdot.

#include <stdint.h>

#include "tflite_kernels/arch/dotprod.h"
#include "tflite_kernels/arch/neon_clear.h"

namespace edgeax {
namespace {

// In assembly: GCC 12 takes 32 instructions for a group where these are 22.
// clang-format off

#define EDGEAX_ADD_16(lane, x0, x1, x2, x3, s0, s1, s2, s3)            \
  "sdot v" #s0 ".4s, v" #x0 ".16b, v8.4b[" #lane "]\n"                 \
  "sdot v" #s1 ".4s, v" #x1 ".16b, v8.4b[" #lane "]\n"                 \
  "sdot v" #s2 ".4s, v" #x2 ".16b, v8.4b[" #lane "]\n"                 \
  "sdot v" #s3 ".4s, v" #x3 ".16b, v8.4b[" #lane "]\n"

// Adds the products of group number `lane` of the weights in v8 with 64 rows to v16 .. v31.
#define EDGEAX_ADD_GROUP(lane, from)                                   \
  "ld1 {v0.16b, v1.16b, v2.16b, v3.16b}, [%[" from "]], #64\n"         \
  EDGEAX_ADD_16(lane, 0, 1, 2, 3, 16, 17, 18, 19)                      \
  "ld1 {v4.16b, v5.16b, v6.16b, v7.16b}, [%[" from "]], #64\n"         \
  EDGEAX_ADD_16(lane, 4, 5, 6, 7, 20, 21, 22, 23)                      \
  "ld1 {v0.16b, v1.16b, v2.16b, v3.16b}, [%[" from "]], #64\n"         \
  EDGEAX_ADD_16(lane, 0, 1, 2, 3, 24, 25, 26, 27)                      \
  "ld1 {v4.16b, v5.16b, v6.16b, v7.16b}, [%[" from "]]\n"              \
  EDGEAX_ADD_16(lane, 4, 5, 6, 7, 28, 29, 30, 31)

// The same with 32 rows.
#define EDGEAX_ADD_GROUP32(lane, from)                                 \
  "ld1 {v0.16b, v1.16b, v2.16b, v3.16b}, [%[" from "]], #64\n"         \
  EDGEAX_ADD_16(lane, 0, 1, 2, 3, 16, 17, 18, 19)                      \
  "ld1 {v4.16b, v5.16b, v6.16b, v7.16b}, [%[" from "]]\n"              \
  EDGEAX_ADD_16(lane, 4, 5, 6, 7, 20, 21, 22, 23)

// One of both of two groups. Offsets are not negative.
#define EDGEAX_ADD_TWO(add, first, second)                             \
  "ldp %w[a], %w[b], [%[offsets]], #8\n"                               \
  "add %[a], %[a], %[lanes]\n"                                         \
  "add %[b], %[b], %[lanes]\n"                                         \
  add(first, "a")                                                      \
  add(second, "b")

// sums int32 [64 rows] of the products of a list of groups of 4 weights; `count` a multiple of 4
// above 0, lanes int8 [offsets][64 rows][4].
EDGEAX_DOTPROD __attribute__((noinline)) void AddGroups64(const int8_t* lanes,
                                                          const int32_t* offsets,
                                                          const int8_t* weights, int32_t count,
                                                          int32_t* sums) {
  const int32_t* const end = offsets + count;
  const int8_t *a, *b;
  __asm__ volatile(
      EDGEAX_CLEAR(16, 17, 18, 19)
      EDGEAX_CLEAR(20, 21, 22, 23)
      EDGEAX_CLEAR(24, 25, 26, 27)
      EDGEAX_CLEAR(28, 29, 30, 31)
      "1:\n"
      "ldr q8, [%[weights]], #16\n"
      EDGEAX_ADD_TWO(EDGEAX_ADD_GROUP, 0, 1)
      EDGEAX_ADD_TWO(EDGEAX_ADD_GROUP, 2, 3)
      "cmp %[offsets], %[end]\n"
      "b.ne 1b\n"
      "st1 {v16.16b, v17.16b, v18.16b, v19.16b}, [%[sums]], #64\n"
      "st1 {v20.16b, v21.16b, v22.16b, v23.16b}, [%[sums]], #64\n"
      "st1 {v24.16b, v25.16b, v26.16b, v27.16b}, [%[sums]], #64\n"
      "st1 {v28.16b, v29.16b, v30.16b, v31.16b}, [%[sums]]\n"
      : [a] "=&r"(a), [b] "=&r"(b), [offsets] "+r"(offsets), [weights] "+r"(weights),
        [sums] "+r"(sums)
      : [lanes] "r"(lanes), [end] "r"(end)
      : "memory", "cc", "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v16", "v17", "v18",
        "v19", "v20", "v21", "v22", "v23", "v24", "v25", "v26", "v27", "v28", "v29", "v30", "v31");
}

// The same of 32 rows.
EDGEAX_DOTPROD __attribute__((noinline)) void AddGroups32(const int8_t* lanes,
                                                          const int32_t* offsets,
                                                          const int8_t* weights, int32_t count,
                                                          int32_t* sums) {
  const int32_t* const end = offsets + count;
  const int8_t *a, *b;
  __asm__ volatile(
      EDGEAX_CLEAR(16, 17, 18, 19)
      EDGEAX_CLEAR(20, 21, 22, 23)
      "1:\n"
      "ldr q8, [%[weights]], #16\n"
      EDGEAX_ADD_TWO(EDGEAX_ADD_GROUP32, 0, 1)
      EDGEAX_ADD_TWO(EDGEAX_ADD_GROUP32, 2, 3)
      "cmp %[offsets], %[end]\n"
      "b.ne 1b\n"
      "st1 {v16.16b, v17.16b, v18.16b, v19.16b}, [%[sums]], #64\n"
      "st1 {v20.16b, v21.16b, v22.16b, v23.16b}, [%[sums]]\n"
      : [a] "=&r"(a), [b] "=&r"(b), [offsets] "+r"(offsets), [weights] "+r"(weights),
        [sums] "+r"(sums)
      : [lanes] "r"(lanes), [end] "r"(end)
      : "memory", "cc", "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v16", "v17", "v18",
        "v19", "v20", "v21", "v22", "v23");
}

#undef EDGEAX_ADD_TWO
#undef EDGEAX_ADD_GROUP32
#undef EDGEAX_ADD_GROUP
#undef EDGEAX_ADD_16
// clang-format on

}  // namespace
}  // namespace edgeax
