#pragma once  // arch/neon_tile.h: a tile of 4 rows and 4 columns on aarch64.

#include <stdint.h>

#include "tflite_kernels/arch/neon_clear.h"

namespace edgeax {
namespace {

// In assembly: GCC 12 takes 63 instructions for what are 53 here.
// clang-format off

#define EDGEAX_EACH_ROW(instruction, x0, x1, x2, x3, w) \
  instruction(10, x0, w)                                \
  instruction(11, x1, w)                                \
  instruction(12, x2, w)                                \
  instruction(13, x3, w)
#define EDGEAX_MULTIPLY(to, x, w) "smull v" #to ".8h, v" #x ".8b, v" #w ".8b\n"
#define EDGEAX_MULTIPLY_HIGH(to, x, w) "smlal2 v" #to ".8h, v" #x ".16b, v" #w ".16b\n"

// Adds 16 products each of the rows in x0 .. x3 with the column in w to the sums s0 .. s3. The sum
// of two products fits int16 unless both are of -128.
#define EDGEAX_ADD_COLUMN(x0, x1, x2, x3, w, s0, s1, s2, s3) \
  EDGEAX_EACH_ROW(EDGEAX_MULTIPLY, x0, x1, x2, x3, w)        \
  EDGEAX_EACH_ROW(EDGEAX_MULTIPLY_HIGH, x0, x1, x2, x3, w)   \
  "sadalp v" #s0 ".4s, v10.8h\n"                             \
  "sadalp v" #s1 ".4s, v11.8h\n"                             \
  "sadalp v" #s2 ".4s, v12.8h\n"                             \
  "sadalp v" #s3 ".4s, v13.8h\n"

// The same with four columns. Sums lie in v16 .. v31, row by row.
#define EDGEAX_ADD_COLUMNS(x0, x1, x2, x3)               \
  "ldp q8, q9, [%[right]], #32\n"                        \
  "ldp q14, q15, [%[right]], #32\n"                      \
  EDGEAX_ADD_COLUMN(x0, x1, x2, x3, 8, 16, 20, 24, 28)   \
  EDGEAX_ADD_COLUMN(x0, x1, x2, x3, 9, 17, 21, 25, 29)   \
  EDGEAX_ADD_COLUMN(x0, x1, x2, x3, 14, 18, 22, 26, 30)  \
  EDGEAX_ADD_COLUMN(x0, x1, x2, x3, 15, 19, 23, 27, 31)

// The four sums of a row, of four numbers each, to one register.
#define EDGEAX_FOLD_ROW(to, a, b, c, d)       \
  "addp v" #a ".4s, v" #a ".4s, v" #b ".4s\n" \
  "addp v" #c ".4s, v" #c ".4s, v" #d ".4s\n" \
  "addp v" #to ".4s, v" #a ".4s, v" #c ".4s\n"

// sums int32 [4 rows][4 columns] of the products of rows of `depth`, a multiple of 16, with right
// int8 [depth / 16][4 columns][16], in which no weight is -128.
__attribute__((noinline)) void MultiplyTile4x4(const int8_t* const* rows, const int8_t* right,
                                               int32_t depth, int32_t* sums) {
  const int8_t *r0 = rows[0], *r1 = rows[1], *r2 = rows[2], *r3 = rows[3];
  __asm__ volatile(
      EDGEAX_CLEAR(16, 17, 18, 19)
      EDGEAX_CLEAR(20, 21, 22, 23)
      EDGEAX_CLEAR(24, 25, 26, 27)
      EDGEAX_CLEAR(28, 29, 30, 31)
      "subs %w[depth], %w[depth], #32\n"
      "b.lt 2f\n"
      "1:\n"
      "ldp q0, q4, [%[r0]], #32\n"
      "ldp q1, q5, [%[r1]], #32\n"
      "ldp q2, q6, [%[r2]], #32\n"
      "ldp q3, q7, [%[r3]], #32\n"
      EDGEAX_ADD_COLUMNS(0, 1, 2, 3)
      EDGEAX_ADD_COLUMNS(4, 5, 6, 7)
      "subs %w[depth], %w[depth], #32\n"
      "b.ge 1b\n"
      "2:\n"
      "tbz %w[depth], #4, 3f\n"  // no 16 are left
      "ldr q0, [%[r0]]\n"
      "ldr q1, [%[r1]]\n"
      "ldr q2, [%[r2]]\n"
      "ldr q3, [%[r3]]\n"
      EDGEAX_ADD_COLUMNS(0, 1, 2, 3)
      "3:\n"
      EDGEAX_FOLD_ROW(0, 16, 17, 18, 19)
      EDGEAX_FOLD_ROW(1, 20, 21, 22, 23)
      EDGEAX_FOLD_ROW(2, 24, 25, 26, 27)
      EDGEAX_FOLD_ROW(3, 28, 29, 30, 31)
      "stp q0, q1, [%[sums]]\n"
      "stp q2, q3, [%[sums], #32]\n"
      : [r0] "+r"(r0), [r1] "+r"(r1), [r2] "+r"(r2), [r3] "+r"(r3), [right] "+r"(right),
        [depth] "+r"(depth)
      : [sums] "r"(sums)
      : "memory", "cc", "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10", "v11",
        "v12", "v13", "v14", "v15", "v16", "v17", "v18", "v19", "v20", "v21", "v22", "v23", "v24",
        "v25", "v26", "v27", "v28", "v29", "v30", "v31");
}

// The same as EDGEAX_ADD_COLUMNS for sums of int16, which small weights cannot fill so soon.
#define EDGEAX_SMALL_COLUMN(x0, x1, x2, x3, w, s0, s1, s2, s3) \
  EDGEAX_ADD_LOW(s0, x0, w)                                    \
  EDGEAX_ADD_LOW(s1, x1, w)                                    \
  EDGEAX_ADD_LOW(s2, x2, w)                                    \
  EDGEAX_ADD_LOW(s3, x3, w)                                    \
  EDGEAX_MULTIPLY_HIGH(s0, x0, w)                              \
  EDGEAX_MULTIPLY_HIGH(s1, x1, w)                              \
  EDGEAX_MULTIPLY_HIGH(s2, x2, w)                              \
  EDGEAX_MULTIPLY_HIGH(s3, x3, w)
#define EDGEAX_ADD_LOW(to, x, w) "smlal v" #to ".8h, v" #x ".8b, v" #w ".8b\n"

#define EDGEAX_SMALL_COLUMNS(x0, x1, x2, x3)               \
  "ldp q8, q9, [%[right]], #32\n"                          \
  "ldp q10, q11, [%[right]], #32\n"                        \
  EDGEAX_SMALL_COLUMN(x0, x1, x2, x3, 8, 16, 20, 24, 28)   \
  EDGEAX_SMALL_COLUMN(x0, x1, x2, x3, 9, 17, 21, 25, 29)   \
  EDGEAX_SMALL_COLUMN(x0, x1, x2, x3, 10, 18, 22, 26, 30)  \
  EDGEAX_SMALL_COLUMN(x0, x1, x2, x3, 11, 19, 23, 27, 31)

#define EDGEAX_WIDEN(a, b, c, d)         \
  "saddlp v" #a ".4s, v" #a ".8h\n"      \
  "saddlp v" #b ".4s, v" #b ".8h\n"      \
  "saddlp v" #c ".4s, v" #c ".8h\n"      \
  "saddlp v" #d ".4s, v" #d ".8h\n"

// The same as MultiplyTile4x4 for weights of which `most`, a multiple of 32, times two products fit
// an int16 sum.
__attribute__((noinline)) void MultiplySmallTile4x4(const int8_t* const* rows, const int8_t* right,
                                                    int32_t depth, int32_t most, int32_t* sums) {
  const int8_t *r0 = rows[0], *r1 = rows[1], *r2 = rows[2], *r3 = rows[3];
  int32_t part;
  __asm__ volatile(
      EDGEAX_CLEAR(12, 13, 14, 15)
      "1:\n"
      EDGEAX_CLEAR(16, 17, 18, 19)
      EDGEAX_CLEAR(20, 21, 22, 23)
      EDGEAX_CLEAR(24, 25, 26, 27)
      EDGEAX_CLEAR(28, 29, 30, 31)
      "cmp %w[depth], %w[most]\n"
      "csel %w[part], %w[depth], %w[most], lt\n"
      "sub %w[depth], %w[depth], %w[part]\n"
      "subs %w[part], %w[part], #32\n"
      "b.lt 3f\n"
      "2:\n"
      "ldp q0, q4, [%[r0]], #32\n"
      "ldp q1, q5, [%[r1]], #32\n"
      "ldp q2, q6, [%[r2]], #32\n"
      "ldp q3, q7, [%[r3]], #32\n"
      EDGEAX_SMALL_COLUMNS(0, 1, 2, 3)
      EDGEAX_SMALL_COLUMNS(4, 5, 6, 7)
      "subs %w[part], %w[part], #32\n"
      "b.ge 2b\n"
      "3:\n"
      "tbz %w[part], #4, 4f\n"  // no 16 are left
      "ldr q0, [%[r0]]\n"
      "ldr q1, [%[r1]]\n"
      "ldr q2, [%[r2]]\n"
      "ldr q3, [%[r3]]\n"
      EDGEAX_SMALL_COLUMNS(0, 1, 2, 3)
      "4:\n"
      EDGEAX_WIDEN(16, 17, 18, 19)
      EDGEAX_WIDEN(20, 21, 22, 23)
      EDGEAX_WIDEN(24, 25, 26, 27)
      EDGEAX_WIDEN(28, 29, 30, 31)
      EDGEAX_FOLD_ROW(0, 16, 17, 18, 19)
      EDGEAX_FOLD_ROW(1, 20, 21, 22, 23)
      EDGEAX_FOLD_ROW(2, 24, 25, 26, 27)
      EDGEAX_FOLD_ROW(3, 28, 29, 30, 31)
      "add v12.4s, v12.4s, v0.4s\n"
      "add v13.4s, v13.4s, v1.4s\n"
      "add v14.4s, v14.4s, v2.4s\n"
      "add v15.4s, v15.4s, v3.4s\n"
      "cbnz %w[depth], 1b\n"
      "stp q12, q13, [%[sums]]\n"
      "stp q14, q15, [%[sums], #32]\n"
      : [r0] "+r"(r0), [r1] "+r"(r1), [r2] "+r"(r2), [r3] "+r"(r3), [right] "+r"(right),
        [depth] "+r"(depth), [part] "=&r"(part)
      : [sums] "r"(sums), [most] "r"(most)
      : "memory", "cc", "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10", "v11",
        "v12", "v13", "v14", "v15", "v16", "v17", "v18", "v19", "v20", "v21", "v22", "v23", "v24",
        "v25", "v26", "v27", "v28", "v29", "v30", "v31");
}

#undef EDGEAX_WIDEN
#undef EDGEAX_SMALL_COLUMNS
#undef EDGEAX_ADD_LOW
#undef EDGEAX_SMALL_COLUMN
#undef EDGEAX_FOLD_ROW
#undef EDGEAX_ADD_COLUMNS
#undef EDGEAX_ADD_COLUMN
#undef EDGEAX_MULTIPLY_HIGH
#undef EDGEAX_MULTIPLY
#undef EDGEAX_EACH_ROW
// clang-format on

}  // namespace
}  // namespace edgeax
