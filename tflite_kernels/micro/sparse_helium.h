#pragma once  // micro/sparse_helium.h: sparse tiles with Helium, for Cortex-M55 and later.

// 4 words of codes are gathered for 4 blocks, whose weights are sorted by channels as they are
// loaded.

#include "tflite_kernels/micro/sparse_portable.h"
#include "tflite_kernels/micro/tile_helium.h"

namespace edgeax {
namespace micro {
namespace helium {

static inline void PrepareBlocks(const SparseConv2DArgs&, const int8_t*, int32_t, int8_t*) {}

// The weights of 4 blocks, by channels.
#define EDGEAX_LOAD_BLOCKS            \
  "vld40.32 {q0, q1, q2, q3}, [r1]\n" \
  "vld41.32 {q0, q1, q2, q3}, [r1]\n" \
  "vld42.32 {q0, q1, q2, q3}, [r1]\n" \
  "vld43.32 {q0, q1, q2, q3}, [r1]!\n"

// The last blocks of a tile may be fewer than 4: then codes beside them are loaded as zeros.

// r5: places, r12: blocks left.
#define EDGEAX_ADD_BLOCKS    \
  "vmladava.s8 r2, q7, q0\n" \
  "vmladava.s8 r4, q7, q1\n" \
  "vmladava.s8 r6, q7, q2\n" \
  "vmladava.s8 r8, q7, q3\n"

#define EDGEAX_SPARSE_PIXEL                                                                  \
  "ldr r1, [r3, #16]\n"                                                                      \
  "ldr r0, [r9]\n"                                                                           \
  "ldr r5, [r9, #16]\n"                                                                      \
  "ldr r12, [r3, #72]\n"                                                                     \
  "add r5, r3\n"                                                                             \
  "subs r12, #4\n"                                                                           \
  "blt 4f\n"                                                                                 \
  "3:\n"                                                                                     \
  "vldrh.u32 q6, [r5], #8\n" EDGEAX_LOAD_BLOCKS "vldrw.u32 q7, [r0, q6]\n" EDGEAX_ADD_BLOCKS \
  "subs r12, #4\n"                                                                           \
  "bge 3b\n"                                                                                 \
  "4:\n"                                                                                     \
  "adds r12, #4\n"                                                                           \
  "beq 5f\n"                                                                                 \
  "vctp.32 r12\n"                                                                            \
  "vpstt\n"                                                                                  \
  "vldrht.u32 q6, [r5]\n"                                                                    \
  "vldrwt.u32 q7, [r0, q6]\n" EDGEAX_LOAD_BLOCKS EDGEAX_ADD_BLOCKS "5:\n"

// r7: places, r11: blocks left.
#define EDGEAX_ADD_FIRST_BLOCKS \
  "vmladava.s8 r0, q7, q0\n"    \
  "vmladava.s8 r2, q7, q1\n"    \
  "vmladava.s8 r4, q7, q2\n"    \
  "vmladava.s8 r6, q7, q3\n"
#define EDGEAX_ADD_SECOND_BLOCKS \
  "vmladava.s8 r8, q7, q0\n"     \
  "vmladava.s8 r10, q7, q1\n"    \
  "vmladava.s8 r12, q7, q2\n"    \
  "vmladava.s8 lr, q7, q3\n"

#define EDGEAX_SPARSE_PAIRS                                                                        \
  "ldr r1, [r11, #16]\n"                                                                           \
  "ldrd r3, r5, [r9]\n"                                                                            \
  "ldr r7, [r9, #16]\n"                                                                            \
  "str r11, [r9, #64]\n"                                                                           \
  "add r7, r11\n"                                                                                  \
  "ldr r11, [r11, #72]\n"                                                                          \
  "subs r11, #4\n"                                                                                 \
  "blt 4f\n"                                                                                       \
  "3:\n"                                                                                           \
  "vldrh.u32 q6, [r7], #8\n" EDGEAX_LOAD_BLOCKS "vldrw.u32 q7, [r3, q6]\n" EDGEAX_ADD_FIRST_BLOCKS \
  "vldrw.u32 q7, [r5, q6]\n" EDGEAX_ADD_SECOND_BLOCKS                                              \
  "subs r11, #4\n"                                                                                 \
  "bge 3b\n"                                                                                       \
  "4:\n"                                                                                           \
  "adds r11, #4\n"                                                                                 \
  "beq 5f\n"                                                                                       \
  "vctp.32 r11\n"                                                                                  \
  "vpstt\n"                                                                                        \
  "vldrht.u32 q6, [r7]\n"                                                                          \
  "vldrwt.u32 q7, [r3, q6]\n" EDGEAX_LOAD_BLOCKS EDGEAX_ADD_FIRST_BLOCKS                           \
  "vpst\n"                                                                                         \
  "vldrwt.u32 q7, [r5, q6]\n" EDGEAX_ADD_SECOND_BLOCKS                                             \
  "5:\n"                                                                                           \
  "ldr r11, [r9, #64]\n"

template <Rounding kRounding>
struct SparseLoops;

template <>
struct SparseLoops<Rounding::kDouble> {
  [[gnu::naked, gnu::noinline]] static void RunPixel(State*) {
    __asm__(EDGEAX_RUN_PIXEL(EDGEAX_SCALE_DOUBLE, EDGEAX_SPARSE_PIXEL));
  }
  [[gnu::naked, gnu::noinline]] static void RunPairs(State*) {
    __asm__(EDGEAX_RUN_PAIRS(EDGEAX_SCALE_DOUBLE, EDGEAX_SPARSE_PAIRS));
  }
};

template <>
struct SparseLoops<Rounding::kSingle> {
  [[gnu::naked, gnu::noinline]] static void RunPixel(State*) {
    __asm__(EDGEAX_RUN_PIXEL(EDGEAX_SCALE_SINGLE, EDGEAX_SPARSE_PIXEL));
  }
  [[gnu::naked, gnu::noinline]] static void RunPairs(State*) {
    __asm__(EDGEAX_RUN_PAIRS(EDGEAX_SCALE_SINGLE, EDGEAX_SPARSE_PAIRS));
  }
};

// Gathering needs words at multiples of 4.
static inline bool IsAligned(const Sweep& sweep) {
  const uintptr_t bits = reinterpret_cast<uintptr_t>(sweep.patch) |
                         static_cast<uintptr_t>(sweep.patch_step | sweep.run_step);
  return (bits & 3) == 0;
}

template <Rounding kRounding>
static inline void RunSparse(const SparseConv2DArgs& args, const Sweep& sweep,
                             const TilePlan& plan) {
  const int32_t shift_change = kRounding == Rounding::kSingle ? 1 : 0;  // see FinishTile
  if (plan.is_quick == 0) return portable::RunSparse<kRounding>(args, sweep, plan);
  if (!IsAligned(sweep)) return portable::RunSparse<kRounding>(args, sweep, plan, shift_change);
  State state = StateOf(sweep, plan);
  state.runs = kTileHeadBytes + PlacesAt(args, sweep);
  RunLoops<SparseLoops<kRounding>>(sweep.pixels, &state);
}

}  // namespace helium
}  // namespace micro
}  // namespace edgeax
