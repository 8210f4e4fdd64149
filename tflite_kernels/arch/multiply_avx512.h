#pragma once  // arch/multiply_avx512.h: the innermost loop of the dense products on AVX-512.

#include "tflite_kernels/core/types.h"

// In the assembler's language, for 28 sums and 3 more registers: GCC 12 keeps some of the sums in
// memory. A row is broadcast four depths at a time, and vpdpbusd multiplies them with those of two
// times 16 columns. Rows lie `pitch` bytes apart, so that three addresses reach all of them.
namespace edgeax {
namespace {

// clang-format off
#define EDGEAX_ROW(depth, address, low, high)      \
  "vpbroadcastd " #depth address ", %%zmm30\n\t"   \
  "vpdpbusd %%zmm28, %%zmm30, %%zmm" #low "\n\t"   \
  "vpdpbusd %%zmm29, %%zmm30, %%zmm" #high "\n\t"
#define EDGEAX_WEIGHTS(low, high)                  \
  "vmovdqu64 " #low "(%[right]), %%zmm28\n\t"      \
  "vmovdqu64 " #high "(%[right]), %%zmm29\n\t"
#define EDGEAX_ROWS_0_TO_6(depth)                  \
  EDGEAX_ROW(depth, "(%[row0])", 0, 1)             \
  EDGEAX_ROW(depth, "(%[row0],%[pitch])", 2, 3)    \
  EDGEAX_ROW(depth, "(%[row0],%[pitch],2)", 4, 5)  \
  EDGEAX_ROW(depth, "(%[row0],%[three])", 6, 7)    \
  EDGEAX_ROW(depth, "(%[row0],%[pitch],4)", 8, 9)  \
  EDGEAX_ROW(depth, "(%[row5])", 10, 11)           \
  EDGEAX_ROW(depth, "(%[row0],%[three],2)", 12, 13)
#define EDGEAX_ROWS_7_TO_13(depth)                  \
  EDGEAX_ROW(depth, "(%[row5],%[pitch],2)", 14, 15) \
  EDGEAX_ROW(depth, "(%[row0],%[pitch],8)", 16, 17) \
  EDGEAX_ROW(depth, "(%[row5],%[pitch],4)", 18, 19) \
  EDGEAX_ROW(depth, "(%[row10])", 20, 21)           \
  EDGEAX_ROW(depth, "(%[row10],%[pitch])", 22, 23)  \
  EDGEAX_ROW(depth, "(%[row0],%[three],4)", 24, 25) \
  EDGEAX_ROW(depth, "(%[row10],%[three])", 26, 27)
#define EDGEAX_CLEAR(i) "vpxord %%zmm" #i ", %%zmm" #i ", %%zmm" #i "\n\t"
#define EDGEAX_STORE(place, i) "vmovdqu64 %%zmm" #i ", " #place "(%[sums])\n\t"
#define EDGEAX_CLEAR_0_TO_6                                                          \
  EDGEAX_CLEAR(0) EDGEAX_CLEAR(1) EDGEAX_CLEAR(2) EDGEAX_CLEAR(3) EDGEAX_CLEAR(4)    \
  EDGEAX_CLEAR(5) EDGEAX_CLEAR(6) EDGEAX_CLEAR(7) EDGEAX_CLEAR(8) EDGEAX_CLEAR(9)    \
  EDGEAX_CLEAR(10) EDGEAX_CLEAR(11) EDGEAX_CLEAR(12) EDGEAX_CLEAR(13)
#define EDGEAX_CLEAR_7_TO_13                                                         \
  EDGEAX_CLEAR(14) EDGEAX_CLEAR(15) EDGEAX_CLEAR(16) EDGEAX_CLEAR(17)                \
  EDGEAX_CLEAR(18) EDGEAX_CLEAR(19) EDGEAX_CLEAR(20) EDGEAX_CLEAR(21)                \
  EDGEAX_CLEAR(22) EDGEAX_CLEAR(23) EDGEAX_CLEAR(24) EDGEAX_CLEAR(25)                \
  EDGEAX_CLEAR(26) EDGEAX_CLEAR(27)
#define EDGEAX_STORE_0_TO_6                                                          \
  EDGEAX_STORE(0, 0) EDGEAX_STORE(64, 1) EDGEAX_STORE(128, 2) EDGEAX_STORE(192, 3)   \
  EDGEAX_STORE(256, 4) EDGEAX_STORE(320, 5) EDGEAX_STORE(384, 6)                     \
  EDGEAX_STORE(448, 7) EDGEAX_STORE(512, 8) EDGEAX_STORE(576, 9)                     \
  EDGEAX_STORE(640, 10) EDGEAX_STORE(704, 11) EDGEAX_STORE(768, 12)                  \
  EDGEAX_STORE(832, 13)
#define EDGEAX_STORE_7_TO_13                                                         \
  EDGEAX_STORE(896, 14) EDGEAX_STORE(960, 15) EDGEAX_STORE(1024, 16)                 \
  EDGEAX_STORE(1088, 17) EDGEAX_STORE(1152, 18) EDGEAX_STORE(1216, 19)               \
  EDGEAX_STORE(1280, 20) EDGEAX_STORE(1344, 21) EDGEAX_STORE(1408, 22)               \
  EDGEAX_STORE(1472, 23) EDGEAX_STORE(1536, 24) EDGEAX_STORE(1600, 25)               \
  EDGEAX_STORE(1664, 26) EDGEAX_STORE(1728, 27)

// sums int32 [14 rows][32 columns] = rows uint8 [14][16 * steps] times right int8
// [4 * steps][32 columns][4]; at least one step.
__attribute__((noinline)) void MultiplyFourteenAvx512(const uint8_t* row0, ptrdiff_t pitch,
                                                      const int8_t* right, ptrdiff_t steps,
                                                      int32_t* sums) {
  const uint8_t *row5 = row0 + 5 * pitch, *row10 = row0 + 10 * pitch;
  __asm__ volatile(
      EDGEAX_CLEAR_0_TO_6 EDGEAX_CLEAR_7_TO_13
      ".p2align 5\n"
      "1:\n\t"
      EDGEAX_WEIGHTS(0, 64) EDGEAX_ROWS_0_TO_6(0) EDGEAX_ROWS_7_TO_13(0)
      EDGEAX_WEIGHTS(128, 192) EDGEAX_ROWS_0_TO_6(4) EDGEAX_ROWS_7_TO_13(4)
      EDGEAX_WEIGHTS(256, 320) EDGEAX_ROWS_0_TO_6(8) EDGEAX_ROWS_7_TO_13(8)
      EDGEAX_WEIGHTS(384, 448) EDGEAX_ROWS_0_TO_6(12) EDGEAX_ROWS_7_TO_13(12)
      "add $16, %[row0]\n\t"
      "add $16, %[row5]\n\t"
      "add $16, %[row10]\n\t"
      "add $512, %[right]\n\t"
      "dec %[steps]\n\t"
      "jnz 1b\n\t"
      EDGEAX_STORE_0_TO_6 EDGEAX_STORE_7_TO_13
      : [row0] "+r"(row0), [row5] "+r"(row5), [row10] "+r"(row10), [right] "+r"(right),
        [steps] "+r"(steps)
      : [pitch] "r"(pitch), [three] "r"(3 * pitch), [sums] "r"(sums)
      : "memory", "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8",
        "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15", "xmm16", "xmm17", "xmm18",
        "xmm19", "xmm20", "xmm21", "xmm22", "xmm23", "xmm24", "xmm25", "xmm26", "xmm27", "xmm28",
        "xmm29", "xmm30");
}

// The same of 7 rows.
__attribute__((noinline)) void MultiplySevenAvx512(const uint8_t* row0, ptrdiff_t pitch,
                                                   const int8_t* right, ptrdiff_t steps,
                                                   int32_t* sums) {
  const uint8_t* row5 = row0 + 5 * pitch;
  __asm__ volatile(
      EDGEAX_CLEAR_0_TO_6
      ".p2align 5\n"
      "1:\n\t"
      EDGEAX_WEIGHTS(0, 64) EDGEAX_ROWS_0_TO_6(0)
      EDGEAX_WEIGHTS(128, 192) EDGEAX_ROWS_0_TO_6(4)
      EDGEAX_WEIGHTS(256, 320) EDGEAX_ROWS_0_TO_6(8)
      EDGEAX_WEIGHTS(384, 448) EDGEAX_ROWS_0_TO_6(12)
      "add $16, %[row0]\n\t"
      "add $16, %[row5]\n\t"
      "add $512, %[right]\n\t"
      "dec %[steps]\n\t"
      "jnz 1b\n\t"
      EDGEAX_STORE_0_TO_6
      : [row0] "+r"(row0), [row5] "+r"(row5), [right] "+r"(right), [steps] "+r"(steps)
      : [pitch] "r"(pitch), [three] "r"(3 * pitch), [sums] "r"(sums)
      : "memory", "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8",
        "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm28", "xmm29", "xmm30");
}
// clang-format on

#undef EDGEAX_ROW
#undef EDGEAX_WEIGHTS
#undef EDGEAX_ROWS_0_TO_6
#undef EDGEAX_ROWS_7_TO_13
#undef EDGEAX_CLEAR
#undef EDGEAX_STORE
#undef EDGEAX_CLEAR_0_TO_6
#undef EDGEAX_CLEAR_7_TO_13
#undef EDGEAX_STORE_0_TO_6
#undef EDGEAX_STORE_7_TO_13

}  // namespace
}  // namespace edgeax
