#pragma once  // micro/ternary_helium.h: tiles of digits with Helium, for Cortex-M55 and later.

#include "tflite_kernels/micro/ternary_portable.h"
#include "tflite_kernels/micro/tile_helium.h"

namespace edgeax {
namespace micro {
namespace helium {

// Blocks of 16 codes, 3 a turn (as the rows of 3 x 3 kernels have them); what is left of a run is
// loaded under a mask. State::blocks is turns here, State::rest the codes behind them.
constexpr int32_t kTurnBytes = 3 * kDigitBlock;

#define EDGEAX_QUARTER(digits, by, sum) \
  "vrshr.s8 " digits ", q1, #" by       \
  "\n"                                  \
  "vmladava.s8 " sum ", q0, " digits "\n"

// One pixel: codes in q0, digits in q1.
#define EDGEAX_ADD_DIGITS                                                                    \
  "vmladava.s8 r2, q0, q1\n" EDGEAX_QUARTER("q2", "2", "r4") EDGEAX_QUARTER("q3", "4", "r6") \
      EDGEAX_QUARTER("q2", "6", "r8")

#define EDGEAX_DIGIT_BLOCK   \
  "vldrb.u8 q0, [r0], #16\n" \
  "vldrb.u8 q1, [r1], #16\n" EDGEAX_ADD_DIGITS

#define EDGEAX_TERNARY_PIXEL                                      \
  "ldr r1, [r3, #16]\n"                                           \
  "ldr r0, [r9]\n"                                                \
  "ldr r12, [r9, #16]\n"                                          \
  "3:\n" /* a run */                                              \
  "ldrd lr, r5, [r9, #20]\n"                                      \
  "ldr r11, [r9, #28]\n"                                          \
  "wls lr, lr, 5f\n"                                              \
  "4:\n" EDGEAX_DIGIT_BLOCK EDGEAX_DIGIT_BLOCK EDGEAX_DIGIT_BLOCK \
  "le lr, 4b\n"                                                   \
  "5:\n"                                                          \
  "cbz r5, 6f\n"                                                  \
  "10:\n" /* the rest */                                          \
  "vctp.8 r5\n"                                                   \
  "vpst\n"                                                        \
  "vldrbt.u8 q0, [r0], #16\n"                                     \
  "vldrb.u8 q1, [r1], #16\n" EDGEAX_ADD_DIGITS                    \
  "subs r5, #16\n"                                                \
  "bgt 10b\n"                                                     \
  "6:\n"                                                          \
  "subs r12, #1\n"                                                \
  "add r0, r11\n"                                                 \
  "bne 3b\n"                                                      \
  "sub r2, r2, r4, lsl #2\n"                                      \
  "sub r4, r4, r6, lsl #2\n"                                      \
  "sub r6, r6, r8, lsl #2\n"

#define EDGEAX_QUARTER_PAIR(by, first, second) \
  "vrshr.s8 q3, q2, #" by                      \
  "\n"                                         \
  "vmladava.s8 " first                         \
  ", q0, q3\n"                                 \
  "vmladava.s8 " second ", q1, q3\n"

// Two pixels: codes in q0 and q1, digits in q2.
#define EDGEAX_ADD_DIGIT_PAIR                                      \
  "vldrb.u8 q2, [r1], #16\n"                                       \
  "vmladava.s8 r0, q0, q2\n"                                       \
  "vmladava.s8 r8, q1, q2\n" EDGEAX_QUARTER_PAIR("2", "r2", "r10") \
      EDGEAX_QUARTER_PAIR("4", "r4", "r12") EDGEAX_QUARTER_PAIR("6", "r6", "lr")

#define EDGEAX_DIGIT_PAIR_BLOCK \
  "vldrb.u8 q0, [r3], #16\n"    \
  "vldrb.u8 q1, [r5], #16\n" EDGEAX_ADD_DIGIT_PAIR

#define EDGEAX_TERNARY_PAIRS                                                     \
  "ldr r1, [r11, #16]\n"                                                         \
  "ldrd r3, r5, [r9]\n"                                                          \
  "str r11, [r9, #64]\n"                                                         \
  "ldr r11, [r9, #16]\n"                                                         \
  "3:\n" /* a run */                                                             \
  "ldr r7, [r9, #20]\n"                                                          \
  "subs r7, #1\n"                                                                \
  "blt 5f\n"                                                                     \
  "4:\n" EDGEAX_DIGIT_PAIR_BLOCK EDGEAX_DIGIT_PAIR_BLOCK EDGEAX_DIGIT_PAIR_BLOCK \
  "subs r7, #1\n"                                                                \
  "bge 4b\n"                                                                     \
  "5:\n"                                                                         \
  "ldr r7, [r9, #24]\n"                                                          \
  "cbz r7, 6f\n"                                                                 \
  "10:\n" /* the rest */                                                         \
  "vctp.8 r7\n"                                                                  \
  "vpstt\n"                                                                      \
  "vldrbt.u8 q0, [r3], #16\n"                                                    \
  "vldrbt.u8 q1, [r5], #16\n" EDGEAX_ADD_DIGIT_PAIR                              \
  "subs r7, #16\n"                                                               \
  "bgt 10b\n"                                                                    \
  "6:\n"                                                                         \
  "ldr r7, [r9, #28]\n"                                                          \
  "subs r11, #1\n"                                                               \
  "add r3, r7\n"                                                                 \
  "add r5, r7\n"                                                                 \
  "bne 3b\n"                                                                     \
  "sub r0, r0, r2, lsl #2\n"                                                     \
  "sub r2, r2, r4, lsl #2\n"                                                     \
  "sub r4, r4, r6, lsl #2\n"                                                     \
  "sub r8, r8, r10, lsl #2\n"                                                    \
  "sub r10, r10, r12, lsl #2\n"                                                  \
  "sub r12, r12, lr, lsl #2\n"                                                   \
  "ldr r11, [r9, #64]\n"

template <Rounding kRounding>
struct TernaryLoops;

template <>
struct TernaryLoops<Rounding::kDouble> {
  [[gnu::naked, gnu::noinline]] static void RunPixel(State*) {
    __asm__(EDGEAX_RUN_PIXEL(EDGEAX_SCALE_DOUBLE, EDGEAX_TERNARY_PIXEL));
  }
  [[gnu::naked, gnu::noinline]] static void RunPairs(State*) {
    __asm__(EDGEAX_RUN_PAIRS(EDGEAX_SCALE_DOUBLE, EDGEAX_TERNARY_PAIRS));
  }
};

template <>
struct TernaryLoops<Rounding::kSingle> {
  [[gnu::naked, gnu::noinline]] static void RunPixel(State*) {
    __asm__(EDGEAX_RUN_PIXEL(EDGEAX_SCALE_SINGLE, EDGEAX_TERNARY_PIXEL));
  }
  [[gnu::naked, gnu::noinline]] static void RunPairs(State*) {
    __asm__(EDGEAX_RUN_PAIRS(EDGEAX_SCALE_SINGLE, EDGEAX_TERNARY_PAIRS));
  }
};

template <Rounding kRounding>
static void RunTernary(const Sweep& sweep, const TilePlan& plan) {
  if (plan.is_quick == 0) return portable::RunTernary<kRounding>(sweep, plan);
  State state = StateOf(sweep, plan);
  state.blocks = sweep.run_bytes / kTurnBytes;
  state.rest = sweep.run_bytes % kTurnBytes;
  state.run_jump = sweep.run_step - DigitBytes(sweep.run_bytes);
  RunLoops<TernaryLoops<kRounding>>(sweep.pixels, &state);
}

}  // namespace helium
}  // namespace micro
}  // namespace edgeax
