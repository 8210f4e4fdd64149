#pragma once  // micro/tile_dsp.h: tiles with the DSP instructions of Cortex-M4, M7 and M33.

// Loops that need all registers are whole functions in assembly. Blocks are 4 weights, runs whole
// blocks: a word of codes is split into two pairs of 16 bits (its codes 0 and 2, and 1 and 3), so
// are weights, and SMLAD adds two products.

#include "tflite_kernels/micro/tile_portable.h"

namespace edgeax {
namespace micro {
namespace dsp {

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

// Two blocks a turn; an odd one is the first.
// r0: codes, r1: weights, r2 to r5: sums, r12: end of the codes.
#define EDGEAX_BLOCKS(block)  \
  "lsls r10, r12, #30\n"      \
  "add r12, r0\n"             \
  "bcs 12f\n"                 \
  "11:\n" block "12:\n" block \
  "cmp r0, r12\n"             \
  "bne 11b\n"

[[gnu::naked, gnu::noinline]] static void AddRunOf4(const int8_t*, const int8_t*, int32_t,
                                                    portable::Sums*) {
  __asm__(
      "push {r3-r11, lr}\n"
      "mov r12, r2\n"
      "ldm r3, {r2-r5}\n"  //
      EDGEAX_BLOCKS(EDGEAX_ADD_BLOCK)
      "ldr r12, [sp], #4\n"
      "stm r12, {r2-r5}\n"
      "pop {r4-r11, pc}\n");
}

static inline void AddRun(const int8_t* input, const int8_t* weights, int32_t run_bytes, int32_t,
                          portable::Sums* sums) {
  AddRunOf4(input, weights, run_bytes, sums);
}

// An expanded tile: 4 biases; for each block the first pairs of the 4 channels, then their second
// pairs; for each channel a Finish.
struct Finish {
  int32_t multiplier;  // the double of a factor's, or the same for single rounding
  int32_t offset;      // half a code and the zero point, before the shift
  int32_t shift;       // to the right
};

[[gnu::naked, gnu::noinline]] static void ExpandBlocks(const int8_t*, int32_t*, const int8_t*) {
  __asm__(
      "push {r4-r10, lr}\n"
      "1:\n"
      "ldm r0!, {r3-r6}\n"
      "sxtb16 r7, r3\n"
      "sxtb16 r8, r4\n"
      "sxtb16 r9, r5\n"
      "sxtb16 r10, r6\n"
      "sxtb16 r3, r3, ror #8\n"
      "sxtb16 r4, r4, ror #8\n"
      "sxtb16 r5, r5, ror #8\n"
      "sxtb16 r6, r6, ror #8\n"
      "stm r1!, {r7-r10}\n"
      "stm r1!, {r3-r6}\n"
      "cmp r0, r2\n"
      "bne 1b\n"
      "pop {r4-r10, pc}\n");
}

// `rounding` is that of RunSweep.
static inline void Expand(const TilePlan& plan, Rounding rounding, int32_t patch_bytes,
                          const int8_t* weights, uint8_t* tile) {
  const TileHead head = *reinterpret_cast<const TileHead*>(tile);
  int32_t* pairs = reinterpret_cast<int32_t*>(tile) + kTileChannels;
  ExpandBlocks(weights, pairs, weights + kTileChannels * patch_bytes);
  Finish* finish = reinterpret_cast<Finish*>(pairs + 2 * patch_bytes);
  for (int32_t i = 0; i < kTileChannels; ++i) {
    const bool is_double = rounding == Rounding::kDouble;
    const int32_t shift = is_double ? -head.shift[i] : -head.shift[i] - 1;
    finish[i].multiplier =
        static_cast<int32_t>(static_cast<uint32_t>(head.multiplier[i]) << (is_double ? 1 : 0));
    finish[i].offset = (1 << (shift - 1)) + plan.output_zero_point * (1 << shift);
    finish[i].shift = shift;
  }
}

// What the loops of a sweep keep in memory.
struct State {
  const int8_t* patch;  // 0
  int32_t patch_step;
  int32_t runs;  // 8
  int32_t run_bytes;
  int32_t run_jump;  // 16: from the end of a run to the next
  const uint8_t* tiles;
  int32_t channels;  // 24
  uint32_t low;
  uint32_t high;  // 32
  int32_t pixels;
  int8_t* output;  // 40
  int32_t channels_left;
  int32_t runs_left;  // 48
  int32_t output_jump;
};

// gemmlowp's high product of a sum, then half a code more with halves away from zero; or the high
// product.
#define EDGEAX_SCALE_DOUBLE(sum, multiplier)      \
  "smmlar " sum ", " sum ", " multiplier ", " sum \
  "\n"                                            \
  "add " sum ", " sum ", " sum ", asr #31\n"
#define EDGEAX_SCALE_SINGLE(sum, multiplier) "smmul " sum ", " sum ", " multiplier "\n"

#define EDGEAX_FINISH(scale, sum, multiplier, offset, shift) \
  scale(sum, multiplier) "add " sum ", " offset              \
                         "\n"                                \
                         "asr " sum ", " shift               \
                         "\n"                                \
                         "ssat " sum ", #8, " sum "\n"

#define EDGEAX_RUN_SWEEP(scale) \
  "push {r4-r11, lr}\n"                        \
  "mov lr, r0\n"                               \
  "1:\n" /* a pixel */                         \
  "ldrd r1, r2, [lr, #20]\n"                   \
  "str r2, [lr, #44]\n"                        \
  "2:\n" /* a tile */                          \
  "ldr r0, [lr, #0]\n"                         \
  "ldr r11, [lr, #8]\n"                        \
  "ldm r1!, {r2-r5}\n"                         \
  "3:\n" /* a run */                           \
  "str r11, [lr, #48]\n"                       \
  "ldr r12, [lr, #12]\n"                       \
  EDGEAX_BLOCKS(EDGEAX_ADD_EXPANDED_BLOCK)     \
  "ldr r11, [lr, #48]\n"                       \
  "ldr r10, [lr, #16]\n"                       \
  "subs r11, #1\n"                             \
  "add r0, r10\n"                              \
  "bne 3b\n"                                   \
  "ldm r1!, {r6-r11}\n"                        \
  EDGEAX_FINISH(scale, "r2", "r6", "r7", "r8") \
  EDGEAX_FINISH(scale, "r3", "r9", "r10", "r11") \
  "ldm r1!, {r6-r11}\n"                        \
  EDGEAX_FINISH(scale, "r4", "r6", "r7", "r8") \
  EDGEAX_FINISH(scale, "r5", "r9", "r10", "r11") \
  "bfi r2, r3, #8, #24\n"                      \
  "bfi r4, r5, #8, #24\n"                      \
  "pkhbt r2, r2, r4, lsl #16\n"                \
  "ldrd r6, r7, [lr, #28]\n"                   \
  "ssub8 r8, r2, r6\n"                         \
  "sel r2, r2, r6\n"                           \
  "ssub8 r8, r2, r7\n"                         \
  "sel r2, r7, r2\n"                           \
  "ldrd r6, r7, [lr, #40]\n"                   \
  "subs r7, #4\n"                              \
  "blt 4f\n"                                   \
  "str r2, [r6], #4\n"                         \
  "strd r6, r7, [lr, #40]\n"                   \
  "bne 2b\n"                                   \
  "b 6f\n"                                     \
  "4:\n" /* less than 4 channels */            \
  "adds r7, #4\n"                              \
  "5:\n"                                       \
  "strb r2, [r6], #1\n"                        \
  "lsr r2, #8\n"                               \
  "subs r7, #1\n"                              \
  "bne 5b\n"                                   \
  "6:\n"                                       \
  "ldrd r0, r2, [lr, #0]\n"                    \
  "ldr r3, [lr, #52]\n"                        \
  "ldr r4, [lr, #36]\n"                        \
  "add r0, r2\n"                               \
  "add r6, r3\n"                               \
  "subs r4, #1\n"                              \
  "str r0, [lr, #0]\n"                         \
  "strd r4, r6, [lr, #36]\n"                   \
  "bne 1b\n"                                   \
  "pop {r4-r11, pc}\n"

[[gnu::naked, gnu::noinline]] static void RunDouble(State*) {
  __asm__(EDGEAX_RUN_SWEEP(EDGEAX_SCALE_DOUBLE));
}

[[gnu::naked, gnu::noinline]] static void RunSingle(State*) {
  __asm__(EDGEAX_RUN_SWEEP(EDGEAX_SCALE_SINGLE));
}

// A sweep over expanded tiles.
template <Rounding kRounding>
static inline void RunSweep(const Sweep& sweep, const TilePlan& plan) {
  constexpr uint32_t kEachByte = 0x01010101;
  State state = {sweep.patch,
                 sweep.patch_step,
                 sweep.runs,
                 sweep.run_bytes,
                 sweep.run_step - sweep.run_bytes,
                 sweep.tiles,
                 sweep.channels,
                 static_cast<uint8_t>(plan.clamp.min) * kEachByte,
                 static_cast<uint8_t>(plan.clamp.max) * kEachByte,
                 sweep.pixels,
                 sweep.output,
                 0,
                 0,
                 sweep.output_step - sweep.channels};
  if (kRounding == Rounding::kDouble) {
    RunDouble(&state);
  } else {
    RunSingle(&state);
  }
}

}  // namespace dsp
}  // namespace micro
}  // namespace edgeax
