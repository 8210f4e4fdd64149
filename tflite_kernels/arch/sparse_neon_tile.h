#pragma once  // arch/sparse_neon_tile.h: a list of pairs of weights times 64 rows on aarch64.

#include <stdint.h>

#include "tflite_kernels/arch/neon_clear.h"

namespace edgeax {
namespace {

// In assembly: GCC 12 keeps the sums in memory.
// clang-format off

// Adds the products of the pairs of weights in v9 and v10 with 8 rows to the sums s0 and s1. The sum
// of two products fits int16 unless both are of -128.
#define EDGEAX_ADD_8(x, y, t0, t1, s0, s1)       \
  "smull v" #t0 ".8h, v" #x ".8b, v9.8b\n"       \
  "smull2 v" #t1 ".8h, v" #x ".16b, v9.16b\n"    \
  "smlal v" #t0 ".8h, v" #y ".8b, v10.8b\n"      \
  "smlal2 v" #t1 ".8h, v" #y ".16b, v10.16b\n"   \
  "sadalp v" #s0 ".4s, v" #t0 ".8h\n"            \
  "sadalp v" #s1 ".4s, v" #t1 ".8h\n"

// The same with 64 rows and the pairs number `first` and `second` of those in v8. Offsets are not
// negative.
#define EDGEAX_ADD_TWO(first, second)                             \
  "ldp %w[a], %w[b], [%[offsets]], #8\n"                          \
  "dup v9.8h, v8.h[" #first "]\n"                                 \
  "dup v10.8h, v8.h[" #second "]\n"                               \
  "add %[a], %[a], %[lanes]\n"                                    \
  "add %[b], %[b], %[lanes]\n"                                    \
  "ld1 {v0.16b, v1.16b, v2.16b, v3.16b}, [%[a]], #64\n"           \
  "ld1 {v4.16b, v5.16b, v6.16b, v7.16b}, [%[b]], #64\n"           \
  EDGEAX_ADD_8(0, 4, 11, 12, 16, 17)                              \
  EDGEAX_ADD_8(1, 5, 13, 14, 18, 19)                              \
  EDGEAX_ADD_8(2, 6, 11, 12, 20, 21)                              \
  EDGEAX_ADD_8(3, 7, 13, 14, 22, 23)                              \
  "ld1 {v0.16b, v1.16b, v2.16b, v3.16b}, [%[a]]\n"                \
  "ld1 {v4.16b, v5.16b, v6.16b, v7.16b}, [%[b]]\n"                \
  EDGEAX_ADD_8(0, 4, 11, 12, 24, 25)                              \
  EDGEAX_ADD_8(1, 5, 13, 14, 26, 27)                              \
  EDGEAX_ADD_8(2, 6, 11, 12, 28, 29)                              \
  EDGEAX_ADD_8(3, 7, 13, 14, 30, 31)

// sums int32 [64 rows] of the products of a list of pairs of weights, none of them -128; `count` a
// multiple of 4 above 0, lanes int8 [offsets][64 rows][2].
__attribute__((noinline)) void AddPairs64(const int8_t* lanes, const int32_t* offsets,
                                          const int8_t* weights, int32_t count, int32_t* sums) {
  const int32_t* const end = offsets + count;
  const int8_t *a, *b;
  __asm__ volatile(
      EDGEAX_CLEAR(16, 17, 18, 19)
      EDGEAX_CLEAR(20, 21, 22, 23)
      EDGEAX_CLEAR(24, 25, 26, 27)
      EDGEAX_CLEAR(28, 29, 30, 31)
      "1:\n"
      "ldr d8, [%[weights]], #8\n"
      EDGEAX_ADD_TWO(0, 1)
      EDGEAX_ADD_TWO(2, 3)
      "cmp %[offsets], %[end]\n"
      "b.ne 1b\n"
      "st1 {v16.16b, v17.16b, v18.16b, v19.16b}, [%[sums]], #64\n"
      "st1 {v20.16b, v21.16b, v22.16b, v23.16b}, [%[sums]], #64\n"
      "st1 {v24.16b, v25.16b, v26.16b, v27.16b}, [%[sums]], #64\n"
      "st1 {v28.16b, v29.16b, v30.16b, v31.16b}, [%[sums]]\n"
      : [a] "=&r"(a), [b] "=&r"(b), [offsets] "+r"(offsets), [weights] "+r"(weights),
        [sums] "+r"(sums)
      : [lanes] "r"(lanes), [end] "r"(end)
      : "memory", "cc", "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10", "v11",
        "v12", "v13", "v14", "v16", "v17", "v18", "v19", "v20", "v21", "v22", "v23", "v24", "v25",
        "v26", "v27", "v28", "v29", "v30", "v31");
}

#undef EDGEAX_ADD_TWO
#undef EDGEAX_ADD_8
// clang-format on

}  // namespace
}  // namespace edgeax
