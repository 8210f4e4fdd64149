#pragma once  // micro/tile_dsp.h: tiles with the DSP instructions of Cortex-M4, M7 and M33.

// Loops that need all registers are whole functions in assembly. Runs are whole blocks.

#include "tflite_kernels/micro/tile_dsp_blocks.h"
#include "tflite_kernels/micro/tile_portable.h"

namespace edgeax {
namespace micro {
namespace dsp {

// An expanded tile: 4 biases; for each block the first pairs of the 4 channels, then their second
// pairs; the multipliers, offsets and shifts of the head.

constexpr int32_t kExpandedHeadBytes = 4 * sizeof(TileHead::bias);

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

// A paired tile is the same with 4 words for each block: the first pairs of the channels 0 and 1,
// those of 2 and 3, then their second pairs. The biases of odd channels are 2**14 times as large.

constexpr int32_t kPairedShift = 14;

[[gnu::naked, gnu::noinline, maybe_unused]] static void PairBlocks(const int8_t*, int32_t*,
                                                                   const int8_t*) {
  __asm__(
      "push {r4-r10, lr}\n"
      "mov r12, #0xC000C000\n"
      "1:\n"
      "ldm r0!, {r3-r6}\n"
      "sxtb16 r7, r3\n"
      "sxtb16 r8, r5\n"
      "sxtb16 r9, r3, ror #8\n"
      "sxtb16 r10, r5, ror #8\n"
      "and r3, r12, r4, lsl #14\n"
      "and r4, r12, r4, lsl #6\n"
      "and r5, r12, r6, lsl #14\n"
      "and r6, r12, r6, lsl #6\n"
      "sadd16 r7, r7, r3\n"
      "sadd16 r8, r8, r5\n"
      "sadd16 r9, r9, r4\n"
      "sadd16 r10, r10, r6\n"
      "stm r1!, {r7-r10}\n"
      "cmp r0, r2\n"
      "bne 1b\n"
      "pop {r4-r10, pc}\n");
}

// What RunSweep wants of a quick layer: the multipliers doubled for double rounding; half a code
// and the zero point, to be added before the shift; how far to shift to the right.
template <Rounding kRounding>
static inline void SetScaling(int32_t output_zero_point, TileHead* head) {
  constexpr bool kIsDouble = kRounding == Rounding::kDouble;
  for (int32_t i = 0; i < kTileChannels; ++i) {
    const int32_t right = kIsDouble ? -head->shift[i] : -head->shift[i] - 1;
    const uint32_t multiplier = head->multiplier[i];
    head->multiplier[i] = static_cast<int32_t>(kIsDouble ? multiplier << 1 : multiplier);
    head->offset[i] = (1 << (right - 1)) + output_zero_point * (1 << right);
    head->shift[i] = right;
  }
}

template <Rounding kRounding>
static inline void FinishTile(const TilePlan& plan, int32_t patch_bytes, TileHead* head,
                              uint8_t* tile) {
  if (plan.is_quick != 0) SetScaling<kRounding>(plan.output_zero_point, head);
  if (plan.is_expanded == 0) {
    *reinterpret_cast<TileHead*>(tile) = *head;
    return;
  }
  int32_t* at = reinterpret_cast<int32_t*>(tile);
  const bool is_paired = plan.piece_bytes != 0;
  const int8_t* const end = head->weights + kTileChannels * patch_bytes;
  if (is_paired) {
    head->bias[1] = static_cast<int32_t>(static_cast<uint32_t>(head->bias[1]) << kPairedShift);
    head->bias[3] = static_cast<int32_t>(static_cast<uint32_t>(head->bias[3]) << kPairedShift);
  }
  __builtin_memcpy(at, head->bias, sizeof(head->bias));
  at += kTileChannels;
  (is_paired ? PairBlocks : ExpandBlocks)(head->weights, at, end);
  at += is_paired ? patch_bytes : 2 * patch_bytes;
  __builtin_memcpy(at, head->multiplier, 3 * sizeof(head->multiplier));
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
  const uint8_t* head_rest;  // 56
  int32_t tile_jump;
  int32_t places, blocks;  // 64: of sparse tiles, from behind the biases; or, of paired tiles, the
                           // bytes of a piece, and where the run ends
};

// r2 to r5: gemmlowp's high product, then halves away from zero; or the high product.
#define EDGEAX_SCALE_DOUBLE(sum, multiplier)      \
  "smmlar " sum ", " sum ", " multiplier ", " sum \
  "\n"                                            \
  "add " sum ", " sum ", " sum ", asr #31\n"
#define EDGEAX_SCALE_SINGLE(sum, multiplier) "smmul " sum ", " sum ", " multiplier "\n"

// How the weights of a tile are found (begin), a run of them is multiplied (blocks, which may spoil
// lr, hence next), and the rest of the head is found behind (end).
#define EDGEAX_EXPANDED_BEGIN
#define EDGEAX_EXPANDED_NEXT
#define EDGEAX_EXPANDED_END "ldm r1!, {r6-r9}\n"
#define EDGEAX_PLAIN_BEGIN \
  "ldr r10, [r1], #4\n"    \
  "str r1, [lr, #56]\n"    \
  "mov r1, r10\n"
#define EDGEAX_PLAIN_NEXT "ldr lr, [sp]\n"
#define EDGEAX_PLAIN_END \
  "ldr r1, [lr, #56]\n"  \
  "ldm r1!, {r6-r9}\n"

#define EDGEAX_CARRIED_END \
  "sub r3, r2\n"           \
  "sub r5, r4\n"           \
  "asr r3, #8\n"           \
  "asr r5, #8\n" EDGEAX_PLAIN_END

#define EDGEAX_DENSE_PRODUCTS(begin, block, next, end) \
  begin                                                \
      "3:\n" /* a run */                               \
      "str r11, [lr, #48]\n"                           \
      "ldr r12, [lr, #12]\n" EDGEAX_BLOCKS(block) next \
      "ldr r11, [lr, #48]\n"                           \
      "ldr r10, [lr, #16]\n"                           \
      "subs r11, #1\n"                                 \
      "add r0, r10\n"                                  \
      "bne 3b\n" end

// r0: patch, r1: behind the biases, r2 to r5: biases and sums. The products leave the multipliers
// in r6 to r9, and r1 behind them.
#define EDGEAX_RUN_SWEEP(scale, products) \
  "push {r0, r4-r11, lr}\n" \
  "mov lr, r0\n" \
  "1:\n" /* a pixel */ \
  "ldrd r1, r2, [lr, #20]\n" \
  "str r2, [lr, #44]\n" \
  "2:\n" /* a tile */ \
  "ldr r0, [lr, #0]\n" \
  "ldr r11, [lr, #8]\n" \
  "ldm r1!, {r2-r5}\n" products \
  scale("r2", "r6")                                      \
  scale("r3", "r7")                                      \
  scale("r4", "r8")                                      \
  scale("r5", "r9")                                      \
  "ldm r1!, {r6-r9}\n"                                   \
  "add r2, r6\n"                                         \
  "add r3, r7\n"                                         \
  "add r4, r8\n"                                         \
  "add r5, r9\n"                                         \
  "ldm r1!, {r6-r9}\n"                                   \
  "asr r2, r6\n"                                         \
  "asr r3, r7\n"                                         \
  "asr r4, r8\n"                                         \
  "asr r5, r9\n"                                         \
  "ssat r2, #8, r2\n"                                    \
  "ssat r3, #8, r3\n"                                    \
  "ssat r4, #8, r4\n"                                    \
  "ssat r5, #8, r5\n"                                    \
  "bfi r2, r3, #8, #24\n"                                \
  "bfi r4, r5, #8, #24\n"                                \
  "pkhbt r2, r2, r4, lsl #16\n"                          \
  "ldrd r6, r7, [lr, #28]\n"                             \
  "ssub8 r8, r2, r6\n"                                   \
  "sel r2, r2, r6\n"                                     \
  "ssub8 r8, r2, r7\n"                                   \
  "sel r2, r7, r2\n"                                     \
  "ldrd r6, r7, [lr, #40]\n"                             \
  "subs r7, #4\n"                                        \
  "blt 4f\n"                                             \
  "str r2, [r6], #4\n"                                   \
  "strd r6, r7, [lr, #40]\n"                             \
  "beq 6f\n"                                             \
  "ldr r6, [lr, #60]\n"                                  \
  "add r1, r6\n"                                         \
  "b 2b\n"                                               \
  "4:\n" /* less than 4 channels */                      \
  "adds r7, #4\n"                                        \
  "5:\n"                                                 \
  "strb r2, [r6], #1\n"                                  \
  "lsr r2, #8\n"                                         \
  "subs r7, #1\n"                                        \
  "bne 5b\n"                                             \
  "6:\n"                                                 \
  "ldrd r0, r2, [lr, #0]\n"                              \
  "ldr r3, [lr, #52]\n"                                  \
  "ldr r4, [lr, #36]\n"                                  \
  "add r0, r2\n"                                         \
  "add r6, r3\n"                                         \
  "subs r4, #1\n"                                        \
  "str r0, [lr, #0]\n"                                   \
  "strd r4, r6, [lr, #36]\n"                             \
  "bne 1b\n"                                             \
  "pop {r0, r4-r11, pc}\n"

#define EDGEAX_EXPANDED_PRODUCTS                                                                \
  EDGEAX_DENSE_PRODUCTS(EDGEAX_EXPANDED_BEGIN, EDGEAX_ADD_EXPANDED_BLOCK, EDGEAX_EXPANDED_NEXT, \
                        EDGEAX_EXPANDED_END)
#define EDGEAX_CARRIED_PRODUCTS                                                             \
  EDGEAX_DENSE_PRODUCTS(EDGEAX_PLAIN_BEGIN, EDGEAX_ADD_CARRIED_BLOCK, EDGEAX_EXPANDED_NEXT, \
                        EDGEAX_CARRIED_END)
#define EDGEAX_PLAIN_PRODUCTS \
  EDGEAX_DENSE_PRODUCTS(EDGEAX_PLAIN_BEGIN, EDGEAX_ADD_BLOCK, EDGEAX_PLAIN_NEXT, EDGEAX_PLAIN_END)

#define EDGEAX_PAIRED_PRODUCTS \
  "3:\n" /* a run */                                 \
  "ldr r10, [lr, #12]\n"                             \
  "str r11, [lr, #48]\n"                             \
  "add r10, r0\n"                                    \
  "str r10, [lr, #68]\n"                             \
  "7:\n" /* a piece */                               \
  "ldr r12, [lr, #64]\n" EDGEAX_BLOCKS(EDGEAX_ADD_PAIRED_BLOCK) \
  "sbfx r6, r3, #0, #14\n"                           \
  "sbfx r7, r5, #0, #14\n"                           \
  "ldr r10, [lr, #68]\n"                             \
  "add r2, r6\n"                                     \
  "add r4, r7\n"                                     \
  "sub r3, r6\n"                                     \
  "sub r5, r7\n"                                     \
  "cmp r0, r10\n"                                    \
  "bne 7b\n"                                         \
  "ldr r11, [lr, #48]\n"                             \
  "ldr r10, [lr, #16]\n"                             \
  "subs r11, #1\n"                                   \
  "add r0, r10\n"                                    \
  "bne 3b\n"                                         \
  "asr r3, #14\n"                                    \
  "asr r5, #14\n"                                    \
  "ldm r1!, {r6-r9}\n"

// Loops over pixels, tiles, runs and blocks.
enum class Tiles { kPlain, kCarried, kExpanded, kPaired };

template <Rounding kRounding, Tiles kTiles>
struct Loop;

template <>
struct Loop<Rounding::kDouble, Tiles::kExpanded> {
  [[gnu::naked, gnu::noinline]] static void Run(State*) {
    __asm__(EDGEAX_RUN_SWEEP(EDGEAX_SCALE_DOUBLE, EDGEAX_EXPANDED_PRODUCTS));
  }
};

template <>
struct Loop<Rounding::kSingle, Tiles::kExpanded> {
  [[gnu::naked, gnu::noinline]] static void Run(State*) {
    __asm__(EDGEAX_RUN_SWEEP(EDGEAX_SCALE_SINGLE, EDGEAX_EXPANDED_PRODUCTS));
  }
};

template <>
struct Loop<Rounding::kDouble, Tiles::kPlain> {
  [[gnu::naked, gnu::noinline]] static void Run(State*) {
    __asm__(EDGEAX_RUN_SWEEP(EDGEAX_SCALE_DOUBLE, EDGEAX_PLAIN_PRODUCTS));
  }
};

template <>
struct Loop<Rounding::kSingle, Tiles::kPlain> {
  [[gnu::naked, gnu::noinline]] static void Run(State*) {
    __asm__(EDGEAX_RUN_SWEEP(EDGEAX_SCALE_SINGLE, EDGEAX_PLAIN_PRODUCTS));
  }
};

template <>
struct Loop<Rounding::kDouble, Tiles::kCarried> {
  [[gnu::naked, gnu::noinline]] static void Run(State*) {
    __asm__(EDGEAX_RUN_SWEEP(EDGEAX_SCALE_DOUBLE, EDGEAX_CARRIED_PRODUCTS));
  }
};

template <>
struct Loop<Rounding::kSingle, Tiles::kCarried> {
  [[gnu::naked, gnu::noinline]] static void Run(State*) {
    __asm__(EDGEAX_RUN_SWEEP(EDGEAX_SCALE_SINGLE, EDGEAX_CARRIED_PRODUCTS));
  }
};

template <>
struct Loop<Rounding::kDouble, Tiles::kPaired> {
  [[gnu::naked, gnu::noinline]] static void Run(State*) {
    __asm__(EDGEAX_RUN_SWEEP(EDGEAX_SCALE_DOUBLE, EDGEAX_PAIRED_PRODUCTS));
  }
};

template <>
struct Loop<Rounding::kSingle, Tiles::kPaired> {
  [[gnu::naked, gnu::noinline]] static void Run(State*) {
    __asm__(EDGEAX_RUN_SWEEP(EDGEAX_SCALE_SINGLE, EDGEAX_PAIRED_PRODUCTS));
  }
};

static inline State StateOf(const Sweep& sweep, const TilePlan& plan, int32_t tile_jump) {
  constexpr uint32_t kEachByte = 0x01010101;
  return {sweep.patch,
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
          sweep.output_step - sweep.channels,
          nullptr,
          tile_jump,
          0,
          0};
}

template <Rounding kRounding>
static inline void RunSweep(const Sweep& sweep, const TilePlan& plan) {
  if (plan.is_quick == 0) return portable::RunSweep<kRounding>(sweep, plan);
  const bool is_expanded = plan.is_expanded != 0;
  // What a loop has not passed of a tile's room and head.
  const int32_t tile_jump = is_expanded
                                ? kTileHeadBytes - kExpandedHeadBytes
                                : kTileHeadBytes - int32_t{sizeof(TileHead)} + plan.room_bytes;
  State state = StateOf(sweep, plan, tile_jump);
  if (is_expanded && plan.piece_bytes != 0) {
    state.places = plan.piece_bytes;
    Loop<kRounding, Tiles::kPaired>::Run(&state);
  } else if (is_expanded) {
    Loop<kRounding, Tiles::kExpanded>::Run(&state);
  } else if (plan.is_carried != 0) {
    Loop<kRounding, Tiles::kCarried>::Run(&state);
  } else {
    Loop<kRounding, Tiles::kPlain>::Run(&state);
  }
}

}  // namespace dsp
}  // namespace micro
}  // namespace edgeax
