#pragma once  // micro/sparse_dsp.h: sparse tiles with the DSP instructions of Cortex-M4, M7 and
              // M33.

#include "tflite_kernels/micro/sparse_portable.h"
#include "tflite_kernels/micro/tile_dsp.h"

namespace edgeax {
namespace micro {
namespace dsp {

// Widens the blocks to 16 bits, as tile_dsp.h has them, behind the places.
static inline void PrepareBlocks(const SparseConv2DArgs& args, const int8_t* blocks, int32_t count,
                                 int8_t* room) {
  if (count == 0 || args.layer.tile.is_quick == 0) return;
  ExpandBlocks(blocks, reinterpret_cast<int32_t*>(room + ListsBytes(args)), blocks + 16 * count);
}

#define EDGEAX_SPARSE_PRODUCTS \
  "ldrd r10, r11, [lr, #64]\n"                     \
  "str r1, [lr, #56]\n"                            \
  "add r12, r1, r10\n"                             \
  "add r1, r11\n"                                  \
  "ldrsh r11, [r12], #2\n"                         \
  "cmp r11, #0\n"                                  \
  "blt 32f\n"                                      \
  "31:\n"                                          \
  "ldr r11, [r0, r11]\n"                           \
  "sxtb16 r10, r11\n"                              \
  "sxtb16 r11, r11, ror #8\n" EDGEAX_ADD_PAIR("r10") EDGEAX_ADD_PAIR("r11") \
  "ldrsh r11, [r12], #2\n"                         \
  "cmp r11, #0\n"                                  \
  "bge 31b\n"                                      \
  "32:\n"                                          \
  "ldr r1, [lr, #56]\n"                            \
  "add r1, #4\n"                                   \
  "ldm r1!, {r6-r9}\n"

template <Rounding kRounding>
[[gnu::naked, gnu::noinline]] void SparseLoop(State*);

template <>
[[gnu::naked, gnu::noinline]] void SparseLoop<Rounding::kDouble>(State*) {
  __asm__(EDGEAX_RUN_SWEEP(EDGEAX_SCALE_DOUBLE, EDGEAX_SPARSE_PRODUCTS));
}

template <>
[[gnu::naked, gnu::noinline]] void SparseLoop<Rounding::kSingle>(State*) {
  __asm__(EDGEAX_RUN_SWEEP(EDGEAX_SCALE_SINGLE, EDGEAX_SPARSE_PRODUCTS));
}

template <Rounding kRounding>
static inline void RunSparse(const SparseConv2DArgs& args, const Sweep& sweep,
                             const TilePlan& plan) {
  if (plan.is_quick == 0) return portable::RunSparse<kRounding>(args, sweep, plan);
  constexpr int32_t kBehind = kTileHeadBytes - int32_t{sizeof(TileHead::bias)};
  State state = StateOf(sweep, plan, kTileHeadBytes - int32_t{sizeof(TileHead)} + plan.room_bytes);
  state.places = kBehind + PlacesAt(args, sweep);
  state.blocks = kBehind + ListsBytes(args);
  SparseLoop<kRounding>(&state);
}

}  // namespace dsp
}  // namespace micro
}  // namespace edgeax
