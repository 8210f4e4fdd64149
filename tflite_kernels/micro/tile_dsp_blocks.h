#pragma once  // micro/tile_dsp_blocks.h: products of blocks of 4 weights, as text for assembly.

// r0: codes, r1: weights, r2 to r5: sums of 4 channels; r6 to r11 are spoilt. A word of codes is
// split into two pairs of 16 bits (its codes 0 and 2, and 1 and 3), so are weights, and SMLAD adds
// two products.

// A pair of sums more from two words of pairs of 4 channels at r1: SMLAD with a pair of codes.
#define EDGEAX_ADD_PAIR(pair) \
  "ldm r1!, {r6-r9}\n"        \
  "smlad r2, r6, " pair       \
  ", r2\n"                    \
  "smlad r3, r7, " pair       \
  ", r3\n"                    \
  "smlad r4, r8, " pair       \
  ", r4\n"                    \
  "smlad r5, r9, " pair ", r5\n"

#define EDGEAX_ADD_EXPANDED_BLOCK \
  "ldr r11, [r0], #4\n"           \
  "sxtb16 r10, r11\n"             \
  "sxtb16 r11, r11, ror #8\n" EDGEAX_ADD_PAIR("r10") EDGEAX_ADD_PAIR("r11")

#define EDGEAX_ADD_CHANNEL(sum, weights) \
  "sxtb16 lr, " weights                  \
  "\n"                                   \
  "smlad " sum ", lr, r10, " sum         \
  "\n"                                   \
  "sxtb16 lr, " weights                  \
  ", ror #8\n"                           \
  "smlad " sum ", lr, r11, " sum "\n"

#define EDGEAX_ADD_BLOCK                                                                    \
  "ldr r11, [r0], #4\n"                                                                     \
  "ldm r1!, {r6-r9}\n"                                                                      \
  "sxtb16 r10, r11\n"                                                                       \
  "sxtb16 r11, r11, ror #8\n" EDGEAX_ADD_CHANNEL("r2", "r6") EDGEAX_ADD_CHANNEL("r3", "r7") \
      EDGEAX_ADD_CHANNEL("r4", "r8") EDGEAX_ADD_CHANNEL("r5", "r9")

#define EDGEAX_ADD_CARRIED(even, odd, weights, pair) \
  "smlad " odd ", " weights ", " pair ", " odd       \
  "\n"                                               \
  "sxtb16 " weights ", " weights                     \
  "\n"                                               \
  "smlad " even ", " weights ", " pair ", " even "\n"

#define EDGEAX_ADD_CARRIED_BLOCK                                                              \
  "ldr r11, [r0], #4\n"                                                                       \
  "ldm r1!, {r6-r9}\n"                                                                        \
  "sxtb16 r10, r11\n"                                                                         \
  "sxtb16 r11, r11, ror #8\n" EDGEAX_ADD_CARRIED("r2", "r3", "r6", "r10")                     \
      EDGEAX_ADD_CARRIED("r2", "r3", "r7", "r11") EDGEAX_ADD_CARRIED("r4", "r5", "r8", "r10") \
          EDGEAX_ADD_CARRIED("r4", "r5", "r9", "r11")

// Of a paired tile: sums of two channels in r3 and r5.
#define EDGEAX_ADD_PAIRED_BLOCK \
  "ldr r11, [r0], #4\n"         \
  "ldm r1!, {r6-r9}\n"          \
  "sxtb16 r10, r11\n"           \
  "sxtb16 r11, r11, ror #8\n"   \
  "smlad r3, r6, r10, r3\n"     \
  "smlad r5, r7, r10, r5\n"     \
  "smlad r3, r8, r11, r3\n"     \
  "smlad r5, r9, r11, r5\n"

// Two blocks a turn; an odd one is the first.
// r0: codes, r1: weights, r2 to r5: sums, r12: end of the codes.
#define EDGEAX_BLOCKS(block)  \
  "lsls r10, r12, #30\n"      \
  "add r12, r0\n"             \
  "bcs 12f\n"                 \
  "11:\n" block "12:\n" block \
  "cmp r0, r12\n"             \
  "bne 11b\n"
