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

// What the loop keeps in memory.
struct State {
  const int8_t* patch;  // 0
  int32_t patch_step;
  int32_t runs;  // 8
  int32_t blocks;
  int32_t run_jump;  // 16: from the end of a run to the next
  const uint8_t* tiles;
  int32_t channels;  // 24
  int32_t tile_step;
  int32_t output_zero_point;  // 32
  int32_t pixels;
  int8_t* output;  // 40
  int32_t output_jump;
  int32_t rest;    // 48: weights of the last block, if it is shorter
  int32_t low[4];  // 52
  int32_t high[4];
};

// q0: gemmlowp's high product, then halves away from zero; or the high product.
#define EDGEAX_SCALE_DOUBLE   \
  "vqrdmulh.s32 q0, q0, q1\n" \
  "vshr.s32 q1, q0, #31\n"    \
  "vadd.i32 q0, q0, q1\n"
#define EDGEAX_SCALE_SINGLE "vmulh.s32 q0, q0, q1\n"

#define EDGEAX_ADD_REST(sum) \
  "vldrb.u8 q1, [r1]\n"      \
  "add r1, r5\n"             \
  "vmladava.s8 " sum ", q0, q1\n"

#define EDGEAX_RUN_SWEEP(scale) \
  "push {r4-r11, lr}\n"              \
  "vpush {d8-d11}\n"                 \
  "mov r9, r0\n"                     \
  "vldrw.u32 q4, [r9, #52]\n"        \
  "vldrw.u32 q5, [r9, #68]\n"        \
  "ldr r7, [r9, #40]\n"             \
  "1:\n" /* a pixel */               \
  "ldrd r3, r10, [r9, #20]\n"        \
  "2:\n" /* a tile */                \
  "ldrd r2, r4, [r3]\n"              \
  "ldrd r6, r8, [r3, #8]\n"          \
  "ldr r1, [r3, #16]\n"              \
  "ldr r0, [r9]\n"                   \
  "ldr r12, [r9, #8]\n"              \
  "3:\n" /* a run */                 \
  "ldrd r5, r11, [r9, #12]\n"         \
  "wls lr, r5, 5f\n"                 \
  "4:\n"                             \
  "vldrb.u8 q0, [r0], #16\n"         \
  "vldrb.u8 q1, [r1], #16\n"         \
  "vmladava.s8 r2, q0, q1\n"         \
  "vldrb.u8 q2, [r1], #16\n"         \
  "vmladava.s8 r4, q0, q2\n"         \
  "vldrb.u8 q1, [r1], #16\n"         \
  "vmladava.s8 r6, q0, q1\n"         \
  "vldrb.u8 q2, [r1], #16\n"         \
  "vmladava.s8 r8, q0, q2\n"         \
  "le lr, 4b\n"                      \
  "5:\n"                             \
  "ldr r5, [r9, #48]\n"              \
  "cbz r5, 6f\n"                     \
  "vctp.8 r5\n"                      \
  "vpst\n"                           \
  "vldrbt.u8 q0, [r0]\n"             \
  "add r0, r5\n"                     \
  EDGEAX_ADD_REST("r2")              \
  EDGEAX_ADD_REST("r4")              \
  EDGEAX_ADD_REST("r6")              \
  EDGEAX_ADD_REST("r8")              \
  "6:\n"                             \
  "subs r12, #1\n"                   \
  "add r0, r11\n"                     \
  "bne 3b\n"                         \
  "vmov q0[2], q0[0], r2, r6\n"      \
  "vmov q0[3], q0[1], r4, r8\n"      \
  "vldrw.u32 q1, [r3, #20]\n" scale  \
  "vldrw.u32 q1, [r3, #52]\n"        \
  "ldrd r5, r12, [r9, #28]\n"         \
  "vrshl.s32 q0, q0, q1\n"           \
  "vadd.i32 q0, q0, r12\n"            \
  "vmax.s32 q0, q0, q4\n"            \
  "vmin.s32 q0, q0, q5\n"            \
  "add r3, r5\n"                     \
  "subs r10, #4\n"                   \
  "blt 7f\n"                         \
  "vstrb.32 q0, [r7], #4\n"         \
  "bne 2b\n"                         \
  "b 8f\n"                           \
  "7:\n" /* less than 4 channels */  \
  "adds r10, #4\n"                   \
  "vctp.32 r10\n"                    \
  "vpst\n"                           \
  "vstrbt.32 q0, [r7]\n"            \
  "add r7, r10\n"                   \
  "8:\n"                             \
  "ldrd r0, r2, [r9]\n"              \
  "ldr r4, [r9, #44]\n"              \
  "ldr r6, [r9, #36]\n"              \
  "add r0, r2\n"                     \
  "add r7, r4\n"                    \
  "str r0, [r9]\n"                   \
  "subs r6, #1\n"                    \
  "str r6, [r9, #36]\n"              \
  "bne 1b\n"                         \
  "vpop {d8-d11}\n"                  \
  "pop {r4-r11, pc}\n"

template <Rounding kRounding>
[[gnu::naked, gnu::noinline]] void Loop(State*);

template <>
[[gnu::naked, gnu::noinline]] void Loop<Rounding::kDouble>(State*) {
  __asm__(EDGEAX_RUN_SWEEP(EDGEAX_SCALE_DOUBLE));
}

template <>
[[gnu::naked, gnu::noinline]] void Loop<Rounding::kSingle>(State*) {
  __asm__(EDGEAX_RUN_SWEEP(EDGEAX_SCALE_SINGLE));
}

template <Rounding kRounding>
static inline void RunSweep(const Sweep& sweep, const TilePlan& plan) {
  if (plan.is_quick == 0) return portable::RunSweep<kRounding>(sweep, plan);
  const int32_t low = plan.clamp.min, high = plan.clamp.max;
  State state = {sweep.patch,
                 sweep.patch_step,
                 sweep.runs,
                 sweep.run_bytes / 16,
                 sweep.run_step - sweep.run_bytes,
                 sweep.tiles,
                 sweep.channels,
                 kTileHeadBytes + plan.room_bytes,
                 plan.output_zero_point,
                 sweep.pixels,
                 sweep.output,
                 sweep.output_step - sweep.channels,
                 sweep.run_bytes % 16,
                 {low, low, low, low},
                 {high, high, high, high}};
  Loop<kRounding>(&state);
}

}  // namespace helium
}  // namespace micro
}  // namespace edgeax
