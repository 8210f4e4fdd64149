#pragma once  // micro/tile_helium.h: tiles with Helium, for Cortex-M55 and later.

// VMLADAVA adds 16 products to a sum. Sums are registers of even numbers. Blocks are 16 weights,
// the last of a run may be shorter; then the loop reads up to 15 bytes more than the weights.

#include "tflite_kernels/micro/tile_portable.h"

namespace edgeax {
namespace micro {
namespace helium {

// With single rounding the high product is a bit shorter, and so is its shift.
template <Rounding kRounding>
static inline void FinishTile(const TilePlan& plan, int32_t, TileHead* head, uint8_t* tile) {
  if (kRounding == Rounding::kSingle && plan.is_quick != 0) {
    for (int32_t i = 0; i < kTileChannels; ++i) ++head->shift[i];
  }
  *reinterpret_cast<TileHead*>(tile) = *head;
}

// What the loops keep in memory.
struct State {
  const int8_t* patch;  // 0: of the first pixel, and of the second
  const int8_t* second_patch;
  int8_t* output;  // 8: of both
  int8_t* second_output;
  int32_t runs;  // 16; of sparse tiles, where in them their places are
  int32_t blocks;
  int32_t rest;  // 24: weights of the last block, if it is shorter
  int32_t run_jump;
  const uint8_t* tiles;  // 32
  int32_t channels;
  int32_t tile_step;  // 40
  int32_t output_zero_point;
  int32_t pairs;  // 48: of pixels
  int32_t patch_jump;
  int32_t output_jump;  // 56
  int32_t channels_left;
  int32_t runs_left;  // 64; of sparse tiles, the tile
  int32_t low[4];     // 68
  int32_t high[4];
};

// Sums times the multipliers in q2: gemmlowp's high product, then halves away from zero; or the
// high product. q3 is spoilt.
#define EDGEAX_SCALE_DOUBLE(sums) \
  "vqrdmulh.s32 " sums ", " sums  \
  ", q2\n"                        \
  "vshr.s32 q3, " sums            \
  ", #31\n"                       \
  "vadd.i32 " sums ", " sums ", q3\n"
#define EDGEAX_SCALE_SINGLE(sums) "vmulh.s32 " sums ", " sums ", q2\n"

#define EDGEAX_ADD_REST(sum) \
  "vldrb.u8 q1, [r1]\n"      \
  "add r1, r5\n"             \
  "vmladava.s8 " sum ", q0, q1\n"

// One pixel. r0: codes, r1: weights, r3: tile, r7: output, r9: state, r10: channels left. Products
// are added to the biases in r2, r4, r6 and r8.
#define EDGEAX_DENSE_PIXEL \
  "ldr r1, [r3, #16]\n"             \
  "ldr r0, [r9]\n"                  \
  "ldr r12, [r9, #16]\n"            \
  "3:\n" /* a run */                \
  "ldr r5, [r9, #20]\n"             \
  "wls lr, r5, 5f\n"                \
  "4:\n"                            \
  "vldrb.u8 q0, [r0], #16\n"        \
  "vldrb.u8 q1, [r1], #16\n"        \
  "vmladava.s8 r2, q0, q1\n"        \
  "vldrb.u8 q2, [r1], #16\n"        \
  "vmladava.s8 r4, q0, q2\n"        \
  "vldrb.u8 q1, [r1], #16\n"        \
  "vmladava.s8 r6, q0, q1\n"        \
  "vldrb.u8 q2, [r1], #16\n"        \
  "vmladava.s8 r8, q0, q2\n"        \
  "le lr, 4b\n"                     \
  "5:\n"                            \
  "ldrd r5, r11, [r9, #24]\n"       \
  "cbz r5, 6f\n"                    \
  "vctp.8 r5\n"                     \
  "vpst\n"                          \
  "vldrbt.u8 q0, [r0]\n"            \
  "add r0, r5\n"                    \
  EDGEAX_ADD_REST("r2")             \
  EDGEAX_ADD_REST("r4")             \
  EDGEAX_ADD_REST("r6")             \
  EDGEAX_ADD_REST("r8")             \
  "6:\n"                            \
  "subs r12, #1\n"                  \
  "add r0, r11\n"                   \
  "bne 3b\n"

#define EDGEAX_RUN_PIXEL(scale, products) \
  "push {r4-r11, lr}\n"             \
  "vpush {d8-d15}\n"                \
  "mov r9, r0\n"                    \
  "vldrw.u32 q4, [r9, #68]\n"       \
  "vldrw.u32 q5, [r9, #84]\n"       \
  "ldr r7, [r9, #8]\n"              \
  "ldrd r3, r10, [r9, #32]\n"       \
  "2:\n" /* a tile */               \
  "ldrd r2, r4, [r3]\n"             \
  "ldrd r6, r8, [r3, #8]\n"         \
  products \
  "vmov q0[2], q0[0], r2, r6\n"     \
  "vmov q0[3], q0[1], r4, r8\n"     \
  "vldrw.u32 q2, [r3, #20]\n"       \
  scale("q0")                       \
  "vldrw.u32 q2, [r3, #52]\n"       \
  "ldrd r5, r12, [r9, #40]\n"       \
  "vrshl.s32 q0, q0, q2\n"          \
  "vadd.i32 q0, q0, r12\n"          \
  "vmax.s32 q0, q0, q4\n"           \
  "vmin.s32 q0, q0, q5\n"           \
  "add r3, r5\n"                    \
  "subs r10, #4\n"                  \
  "blt 7f\n"                        \
  "vstrb.32 q0, [r7], #4\n"         \
  "bne 2b\n"                        \
  "b 8f\n"                          \
  "7:\n" /* less than 4 channels */ \
  "adds r10, #4\n"                  \
  "vctp.32 r10\n"                   \
  "vpst\n"                          \
  "vstrbt.32 q0, [r7]\n"            \
  "8:\n"                            \
  "vpop {d8-d15}\n"                 \
  "pop {r4-r11, pc}\n"

#define EDGEAX_ADD_PAIR(weights, first, second) \
  "vldrb.u8 " weights                           \
  ", [r1], #16\n"                               \
  "vmladava.s8 " first ", q0, " weights         \
  "\n"                                          \
  "vmladava.s8 " second ", q1, " weights "\n"

#define EDGEAX_ADD_PAIR_REST(first, second) \
  "vldrb.u8 q2, [r1]\n"                     \
  "add r1, r7\n"                            \
  "vmladava.s8 " first                      \
  ", q0, q2\n"                              \
  "vmladava.s8 " second ", q1, q2\n"

// Pairs of pixels, so that weights are loaded once for both. r3 and r5: codes, then outputs; r1:
// weights; r9: state, r11: tile. Products are added to the biases in r0, r2, r4, r6 and in
// r8, r10, r12, lr.
#define EDGEAX_DENSE_PAIRS \
  "ldr r1, [r11, #16]\n"                     \
  "ldrd r3, r5, [r9]\n"                      \
  "ldr r7, [r9, #16]\n"                      \
  "3:\n" /* a run */                         \
  "str r7, [r9, #64]\n"                      \
  "ldr r7, [r9, #20]\n"                      \
  "cbz r7, 5f\n"                             \
  "4:\n"                                     \
  "vldrb.u8 q0, [r3], #16\n"                 \
  "vldrb.u8 q1, [r5], #16\n"                 \
  EDGEAX_ADD_PAIR("q2", "r0", "r8")          \
  EDGEAX_ADD_PAIR("q3", "r2", "r10")         \
  EDGEAX_ADD_PAIR("q2", "r4", "r12")         \
  EDGEAX_ADD_PAIR("q3", "r6", "lr")          \
  "subs r7, #1\n"                            \
  "bne 4b\n"                                 \
  "5:\n"                                     \
  "ldr r7, [r9, #24]\n"                      \
  "cbz r7, 6f\n"                             \
  "vctp.8 r7\n"                              \
  "vpstt\n"                                  \
  "vldrbt.u8 q0, [r3]\n"                     \
  "vldrbt.u8 q1, [r5]\n"                     \
  "add r3, r7\n"                             \
  "add r5, r7\n"                             \
  EDGEAX_ADD_PAIR_REST("r0", "r8")           \
  EDGEAX_ADD_PAIR_REST("r2", "r10")          \
  EDGEAX_ADD_PAIR_REST("r4", "r12")          \
  EDGEAX_ADD_PAIR_REST("r6", "lr")           \
  "6:\n"                                     \
  "ldr r7, [r9, #28]\n"                      \
  "add r3, r7\n"                             \
  "add r5, r7\n"                             \
  "ldr r7, [r9, #64]\n"                      \
  "subs r7, #1\n"                            \
  "bne 3b\n"

#define EDGEAX_RUN_PAIRS(scale, products) \
  "push {r4-r11, lr}\n"                      \
  "vpush {d8-d15}\n"                         \
  "mov r9, r0\n"                             \
  "vldrw.u32 q4, [r9, #68]\n"                \
  "vldrw.u32 q5, [r9, #84]\n"                \
  "1:\n" /* a pair */                        \
  "ldrd r11, r7, [r9, #32]\n"                \
  "2:\n" /* a tile */                        \
  "str r7, [r9, #60]\n"                      \
  "ldrd r0, r2, [r11]\n"                     \
  "ldrd r4, r6, [r11, #8]\n"                 \
  "ldrd r8, r10, [r11]\n"                    \
  "ldrd r12, lr, [r11, #8]\n"                \
  products \
  "vmov q0[2], q0[0], r0, r4\n"              \
  "vmov q0[3], q0[1], r2, r6\n"              \
  "vmov q1[2], q1[0], r8, r12\n"             \
  "vmov q1[3], q1[1], r10, lr\n"             \
  "vldrw.u32 q2, [r11, #20]\n"               \
  scale("q0")                                \
  scale("q1")                                \
  "vldrw.u32 q2, [r11, #52]\n"               \
  "ldrd r0, r2, [r9, #40]\n"                 \
  "vrshl.s32 q0, q0, q2\n"                   \
  "vrshl.s32 q1, q1, q2\n"                   \
  "vadd.i32 q0, q0, r2\n"                    \
  "vadd.i32 q1, q1, r2\n"                    \
  "vmax.s32 q0, q0, q4\n"                    \
  "vmax.s32 q1, q1, q4\n"                    \
  "vmin.s32 q0, q0, q5\n"                    \
  "vmin.s32 q1, q1, q5\n"                    \
  "ldr r7, [r9, #60]\n"                      \
  "ldrd r3, r5, [r9, #8]\n"                  \
  "add r11, r0\n"                            \
  "subs r7, #4\n"                            \
  "blt 7f\n"                                 \
  "vstrb.32 q0, [r3], #4\n"                  \
  "vstrb.32 q1, [r5], #4\n"                  \
  "strd r3, r5, [r9, #8]\n"                  \
  "bne 2b\n"                                 \
  "b 8f\n"                                   \
  "7:\n" /* less than 4 channels */          \
  "adds r7, #4\n"                            \
  "vctp.32 r7\n"                             \
  "vpstt\n"                                  \
  "vstrbt.32 q0, [r3]\n"                     \
  "vstrbt.32 q1, [r5]\n"                     \
  "add r3, r7\n"                             \
  "add r5, r7\n"                             \
  "8:\n"                                     \
  "ldrd r0, r2, [r9]\n"                      \
  "ldrd r4, r6, [r9, #48]\n"                 \
  "ldr r7, [r9, #56]\n"                      \
  "add r0, r6\n"                             \
  "add r2, r6\n"                             \
  "add r3, r7\n"                             \
  "add r5, r7\n"                             \
  "strd r0, r2, [r9]\n"                      \
  "strd r3, r5, [r9, #8]\n"                  \
  "subs r4, #1\n"                            \
  "str r4, [r9, #48]\n"                      \
  "bne 1b\n"                                 \
  "vpop {d8-d15}\n"                          \
  "pop {r4-r11, pc}\n"

template <Rounding kRounding>
struct Loops;

template <>
struct Loops<Rounding::kDouble> {
  [[gnu::naked, gnu::noinline]] static void RunPixel(State*) {
    __asm__(EDGEAX_RUN_PIXEL(EDGEAX_SCALE_DOUBLE, EDGEAX_DENSE_PIXEL));
  }
  [[gnu::naked, gnu::noinline]] static void RunPairs(State*) {
    __asm__(EDGEAX_RUN_PAIRS(EDGEAX_SCALE_DOUBLE, EDGEAX_DENSE_PAIRS));
  }
};

template <>
struct Loops<Rounding::kSingle> {
  [[gnu::naked, gnu::noinline]] static void RunPixel(State*) {
    __asm__(EDGEAX_RUN_PIXEL(EDGEAX_SCALE_SINGLE, EDGEAX_DENSE_PIXEL));
  }
  [[gnu::naked, gnu::noinline]] static void RunPairs(State*) {
    __asm__(EDGEAX_RUN_PAIRS(EDGEAX_SCALE_SINGLE, EDGEAX_DENSE_PAIRS));
  }
};

static inline State StateOf(const Sweep& sweep, const TilePlan& plan) {
  const int32_t low = plan.clamp.min, high = plan.clamp.max;
  return {sweep.patch,
          sweep.patch + sweep.patch_step,
          sweep.output,
          sweep.output + sweep.output_step,
          sweep.runs,
          sweep.run_bytes / 16,
          sweep.run_bytes % 16,
          sweep.run_step - sweep.run_bytes,
          sweep.tiles,
          sweep.channels,
          kTileHeadBytes + plan.room_bytes,
          plan.output_zero_point,
          sweep.pixels / 2,
          2 * sweep.patch_step,
          2 * sweep.output_step - sweep.channels,
          0,
          0,
          {low, low, low, low},
          {high, high, high, high}};
}

template <typename Loops>
static inline void RunLoops(int32_t pixels, State* state) {
  if (state->pairs > 0) Loops::RunPairs(state);
  if (pixels % 2 != 0) Loops::RunPixel(state);
}

template <Rounding kRounding>
static inline void RunSweep(const Sweep& sweep, const TilePlan& plan) {
  if (plan.is_quick == 0) return portable::RunSweep<kRounding>(sweep, plan);
  State state = StateOf(sweep, plan);
  RunLoops<Loops<kRounding>>(sweep.pixels, &state);
}

}  // namespace helium
}  // namespace micro
}  // namespace edgeax
