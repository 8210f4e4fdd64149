#pragma once  // arch/balanced_neon.h: a vector times 8 balanced rows on aarch64.

#include <stddef.h>
#include <stdint.h>

#include "tflite_kernels/arch/balanced.h"
#include "tflite_kernels/arch/dotprod.h"
#include "tflite_kernels/arch/neon_clear.h"
#include "tflite_kernels/arch/neon_finish.h"

namespace edgeax {
namespace {

struct BalancedNeonSteps {
  // The codes of `count` sums, those of the channels from `c` on.
  static void Store(const int32_t* sums, int32_t c, int32_t count, const FullyConnectedArgs& args,
                    const SparseTensors& tensors, int8_t* output) {
    StoreEight(sums, count, tensors.bias.data + c, tensors.requantization.data + c,
               tensors.balanced.sums.data + c, args.quantization, output);
  }
};

// In assembly, for the sums stay in registers by all compilers.
// clang-format off

// Loads a step of the tile at `tile`: values of both groups to v3 and v4, what they meet of the
// vector in v0 and v1 to v5 and v6.
#define EDGEAX_LOAD_STEP(tile)                                    \
  "ld1 {v2.16b, v3.16b, v4.16b}, [%[" tile "]], #48\n"            \
  "ushr v6.16b, v2.16b, #4\n"                                     \
  "and v5.16b, v2.16b, v7.16b\n"                                  \
  "tbl v5.16b, {v0.16b}, v5.16b\n"                                \
  "tbl v6.16b, {v1.16b}, v6.16b\n"

// The sum of two products fits int16, as no weight is -128.
#define EDGEAX_ADD_STEP(tile, s0, s1)                             \
  EDGEAX_LOAD_STEP(tile)                                          \
  "smull v20.8h, v5.8b, v3.8b\n"                                  \
  "smull2 v21.8h, v5.16b, v3.16b\n"                               \
  "smlal v20.8h, v6.8b, v4.8b\n"                                  \
  "smlal2 v21.8h, v6.16b, v4.16b\n"                               \
  "sadalp v" #s0 ".4s, v20.8h\n"                                  \
  "sadalp v" #s1 ".4s, v21.8h\n"

#define EDGEAX_DOT_STEP(tile, sum)                                \
  EDGEAX_LOAD_STEP(tile)                                          \
  "sdot v" #sum ".4s, v5.16b, v3.16b\n"                           \
  "sdot v" #sum ".4s, v6.16b, v4.16b\n"

// sums[r] of the products of row r of two tiles with a vector of `steps` times 32 numbers, above 0.
struct BalancedNeon : BalancedNeonSteps {
  __attribute__((noinline)) static void DotTiles(const int8_t* vector, const uint8_t* first,
                                                 const uint8_t* second, int32_t steps,
                                                 int32_t* sums) {
    const int8_t* const end = vector + static_cast<ptrdiff_t>(steps) * 32;
    __asm__ volatile(
        EDGEAX_CLEAR(16, 17, 18, 19)
        "movi v7.16b, #15\n"
        "1:\n"
        "ldp q0, q1, [%[vector]], #32\n"
        EDGEAX_ADD_STEP("first", 16, 17)
        EDGEAX_ADD_STEP("second", 18, 19)
        "cmp %[vector], %[end]\n"
        "b.ne 1b\n"
        "addp v16.4s, v16.4s, v17.4s\n"
        "addp v18.4s, v18.4s, v19.4s\n"
        "stp q16, q18, [%[sums]]\n"
        : [vector] "+r"(vector), [first] "+r"(first), [second] "+r"(second)
        : [end] "r"(end), [sums] "r"(sums)
        : "memory", "cc", "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v16", "v17", "v18",
          "v19", "v20", "v21");
  }
};

struct BalancedNeonDotprod : BalancedNeonSteps {
  EDGEAX_DOTPROD __attribute__((noinline)) static void DotTiles(const int8_t* vector,
                                                                const uint8_t* first,
                                                                const uint8_t* second,
                                                                int32_t steps, int32_t* sums) {
    const int8_t* const end = vector + static_cast<ptrdiff_t>(steps) * 32;
    __asm__ volatile(
        "movi v16.4s, #0\n"
        "movi v18.4s, #0\n"
        "movi v7.16b, #15\n"
        "1:\n"
        "ldp q0, q1, [%[vector]], #32\n"
        EDGEAX_DOT_STEP("first", 16)
        EDGEAX_DOT_STEP("second", 18)
        "cmp %[vector], %[end]\n"
        "b.ne 1b\n"
        "stp q16, q18, [%[sums]]\n"
        : [vector] "+r"(vector), [first] "+r"(first), [second] "+r"(second)
        : [end] "r"(end), [sums] "r"(sums)
        : "memory", "cc", "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v16", "v18");
  }
};

#undef EDGEAX_DOT_STEP
#undef EDGEAX_ADD_STEP
#undef EDGEAX_LOAD_STEP
// clang-format on

}  // namespace
}  // namespace edgeax
