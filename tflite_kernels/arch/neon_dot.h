#pragma once  // arch/neon_dot.h: a vector times 4 rows of codes on aarch64.

#include <stdint.h>

#include "tflite_kernels/arch/neon_clear.h"

namespace edgeax {
namespace {

// In assembly: GCC 12 moves products and pointers by instructions of their own.
// clang-format off

// Adds 64 products of the vector in v0 .. v3 with the codes at `row` to the sums s0 and s1. The sum
// of two products fits int16 unless both are of -128.
#define EDGEAX_ADD_ROW(row, s0, s1)          \
  "ldp q4, q6, [%[" row "]], #32\n"          \
  "ushr v5.16b, v4.16b, #4\n"                \
  "and v4.16b, v4.16b, v30.16b\n"            \
  "ushr v7.16b, v6.16b, #4\n"                \
  "and v6.16b, v6.16b, v30.16b\n"            \
  "tbl v4.16b, {v31.16b}, v4.16b\n"          \
  "tbl v5.16b, {v31.16b}, v5.16b\n"          \
  "tbl v6.16b, {v31.16b}, v6.16b\n"          \
  "tbl v7.16b, {v31.16b}, v7.16b\n"          \
  "smull v8.8h, v0.8b, v4.8b\n"              \
  "smull v9.8h, v1.8b, v5.8b\n"              \
  "smull v10.8h, v2.8b, v6.8b\n"             \
  "smull v11.8h, v3.8b, v7.8b\n"             \
  "smlal2 v8.8h, v0.16b, v4.16b\n"           \
  "smlal2 v9.8h, v1.16b, v5.16b\n"           \
  "smlal2 v10.8h, v2.16b, v6.16b\n"          \
  "smlal2 v11.8h, v3.16b, v7.16b\n"          \
  "sadalp v" #s0 ".4s, v8.8h\n"              \
  "sadalp v" #s1 ".4s, v9.8h\n"              \
  "sadalp v" #s0 ".4s, v10.8h\n"             \
  "sadalp v" #s1 ".4s, v11.8h\n"

// sums[c] of the products of row c of 4-bit codes with `vector`, of each 32 numbers first the 16 that meet
// the codes in low nibbles; `steps` times 64 weights, more than 0, none of them -128.
__attribute__((noinline)) void DotFourRows(const int8_t* vector, const uint8_t* const* rows,
                                           const int8_t* codebook, int32_t steps, int32_t* sums) {
  const uint8_t *r0 = rows[0], *r1 = rows[1], *r2 = rows[2], *r3 = rows[3];
  const int8_t* const end = vector + static_cast<ptrdiff_t>(steps) * 64;
  __asm__ volatile(
      EDGEAX_CLEAR(16, 17, 18, 19)
      EDGEAX_CLEAR(20, 21, 22, 23)
      "movi v30.16b, #15\n"
      "ldr q31, [%[codebook]]\n"
      "1:\n"
      "ldp q0, q1, [%[vector]], #32\n"
      "ldp q2, q3, [%[vector]], #32\n"
      EDGEAX_ADD_ROW("r0", 16, 17)
      EDGEAX_ADD_ROW("r1", 18, 19)
      EDGEAX_ADD_ROW("r2", 20, 21)
      EDGEAX_ADD_ROW("r3", 22, 23)
      "cmp %[vector], %[end]\n"
      "b.ne 1b\n"
      "addp v16.4s, v16.4s, v17.4s\n"
      "addp v18.4s, v18.4s, v19.4s\n"
      "addp v20.4s, v20.4s, v21.4s\n"
      "addp v22.4s, v22.4s, v23.4s\n"
      "addp v16.4s, v16.4s, v18.4s\n"
      "addp v20.4s, v20.4s, v22.4s\n"
      "addp v16.4s, v16.4s, v20.4s\n"
      "str q16, [%[sums]]\n"
      : [vector] "+r"(vector), [r0] "+r"(r0), [r1] "+r"(r1), [r2] "+r"(r2), [r3] "+r"(r3)
      : [codebook] "r"(codebook), [end] "r"(end), [sums] "r"(sums)
      : "memory", "cc", "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10", "v11",
        "v16", "v17", "v18", "v19", "v20", "v21", "v22", "v23", "v30", "v31");
}

// Adds 64 products of the vector in v0 .. v3 with the 2-bit codes in `codes` to the
// int16 sums s0 and s1.
#define EDGEAX_ADD_SMALL(codes, s0, s1)      \
  "ushr v6.16b, v" #codes ".16b, #4\n"       \
  "and v4.16b, v" #codes ".16b, v30.16b\n"   \
  "tbl v5.16b, {v29.16b}, v4.16b\n"          \
  "tbl v4.16b, {v28.16b}, v4.16b\n"          \
  "tbl v7.16b, {v29.16b}, v6.16b\n"          \
  "tbl v6.16b, {v28.16b}, v6.16b\n"          \
  "smlal v" #s0 ".8h, v0.8b, v4.8b\n"        \
  "smlal v" #s1 ".8h, v1.8b, v5.8b\n"        \
  "smlal2 v" #s0 ".8h, v0.16b, v4.16b\n"     \
  "smlal2 v" #s1 ".8h, v1.16b, v5.16b\n"     \
  "smlal v" #s0 ".8h, v2.8b, v6.8b\n"        \
  "smlal v" #s1 ".8h, v3.8b, v7.8b\n"        \
  "smlal2 v" #s0 ".8h, v2.16b, v6.16b\n"     \
  "smlal2 v" #s1 ".8h, v3.16b, v7.16b\n"

// The same with the codes at `row`, of which those for the next 64 products go to `next`.
#define EDGEAX_ADD_SMALL_ROW(row, next, s0, s1) \
  "ldp q4, q" #next ", [%[" row "]], #32\n"     \
  EDGEAX_ADD_SMALL(4, s0, s1)

#define EDGEAX_WIDEN(sum, a, b)              \
  "sadalp v" #sum ".4s, v" #a ".8h\n"        \
  "sadalp v" #sum ".4s, v" #b ".8h\n"

// The same of rows of 2-bit codes, of each 64 numbers of the vector first those that meet the first
// code of a byte, then the second and so on; `tables` are two of NibbleTables. `steps` times 128
// weights, more than 0; so many `most` times eight products fit an int16 sum.
__attribute__((noinline)) void DotFourSmallRows(const int8_t* vector, const uint8_t* const* rows,
                                                const int8_t* tables, int32_t most, int32_t steps,
                                                int32_t* sums) {
  const uint8_t *r0 = rows[0], *r1 = rows[1], *r2 = rows[2], *r3 = rows[3];
  int32_t part;
  __asm__ volatile(
      EDGEAX_CLEAR(24, 25, 26, 27)
      "movi v30.16b, #15\n"
      "ldp q28, q29, [%[tables]]\n"
      "1:\n"
      EDGEAX_CLEAR(16, 17, 18, 19)
      EDGEAX_CLEAR(20, 21, 22, 23)
      "cmp %w[steps], %w[most]\n"
      "csel %w[part], %w[steps], %w[most], lt\n"
      "sub %w[steps], %w[steps], %w[part]\n"
      "2:\n"
      "ld1 {v0.16b, v1.16b, v2.16b, v3.16b}, [%[vector]], #64\n"
      EDGEAX_ADD_SMALL_ROW("r0", 8, 16, 17)
      EDGEAX_ADD_SMALL_ROW("r1", 9, 18, 19)
      EDGEAX_ADD_SMALL_ROW("r2", 10, 20, 21)
      EDGEAX_ADD_SMALL_ROW("r3", 11, 22, 23)
      "ld1 {v0.16b, v1.16b, v2.16b, v3.16b}, [%[vector]], #64\n"
      EDGEAX_ADD_SMALL(8, 16, 17)
      EDGEAX_ADD_SMALL(9, 18, 19)
      EDGEAX_ADD_SMALL(10, 20, 21)
      EDGEAX_ADD_SMALL(11, 22, 23)
      "subs %w[part], %w[part], #1\n"
      "b.ne 2b\n"
      EDGEAX_WIDEN(24, 16, 17)
      EDGEAX_WIDEN(25, 18, 19)
      EDGEAX_WIDEN(26, 20, 21)
      EDGEAX_WIDEN(27, 22, 23)
      "cbnz %w[steps], 1b\n"
      "addp v24.4s, v24.4s, v25.4s\n"
      "addp v26.4s, v26.4s, v27.4s\n"
      "addp v24.4s, v24.4s, v26.4s\n"
      "str q24, [%[sums]]\n"
      : [vector] "+r"(vector), [r0] "+r"(r0), [r1] "+r"(r1), [r2] "+r"(r2), [r3] "+r"(r3),
        [steps] "+r"(steps), [part] "=&r"(part)
      : [tables] "r"(tables), [most] "r"(most), [sums] "r"(sums)
      : "memory", "cc", "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10", "v11",
        "v16", "v17", "v18", "v19", "v20", "v21", "v22", "v23", "v24", "v25", "v26", "v27", "v28",
        "v29", "v30");
}

#undef EDGEAX_WIDEN
#undef EDGEAX_ADD_SMALL_ROW
#undef EDGEAX_ADD_SMALL
#undef EDGEAX_ADD_ROW
// clang-format on

}  // namespace
}  // namespace edgeax
