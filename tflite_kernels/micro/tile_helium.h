#pragma once  // micro/tile_helium.h: tiles with Helium, for Cortex-M55 and later.

// VMLADAVA adds 16 products to a sum. Its sums are registers of even numbers.

#include <arm_mve.h>

#include "tflite_kernels/micro/tile_portable.h"

namespace edgeax {
namespace micro {
namespace helium {

// What is the same for all tiles of a sweep.
struct Ends {
  int32_t output_zero_point;
  int32x4_t low, high;
};

struct Place {
  const int8_t* codes;
  const int8_t* weights;
};

// Adds the products of a run, and goes on to behind it. Blocks are 16 weights, the last may be
// shorter.
static inline Place AddRun(Place place, int32_t blocks, int32_t rest, portable::Sums* sums) {
  int32_t first = sums->first, second = sums->second, third = sums->third, fourth = sums->fourth;
  __asm__ volatile(
      "wls lr, %[blocks], 2f\n"
      "1:\n"
      "vldrb.u8 q0, [%[codes]], #16\n"
      "vldrb.u8 q1, [%[weights]], #16\n"
      "vldrb.u8 q2, [%[weights]], #16\n"
      "vmladava.s8 %[first], q0, q1\n"
      "vldrb.u8 q1, [%[weights]], #16\n"
      "vmladava.s8 %[second], q0, q2\n"
      "vldrb.u8 q2, [%[weights]], #16\n"
      "vmladava.s8 %[third], q0, q1\n"
      "vmladava.s8 %[fourth], q0, q2\n"
      "le lr, 1b\n"
      "2:\n"
      : [first] "+Te"(first), [second] "+Te"(second), [third] "+Te"(third), [fourth] "+Te"(fourth),
        [codes] "+r"(place.codes), [weights] "+r"(place.weights)
      : [blocks] "r"(blocks)
      : "q0", "q1", "q2", "lr", "cc", "memory");
  if (rest > 0) {
    const mve_pred16_t lanes = vctp8q(rest);
    const int8_t* weights = place.weights;
    const int8x16_t codes = vldrbq_z_s8(place.codes, lanes);
    first = vmladavaq_p_s8(first, codes, vldrbq_z_s8(weights, lanes), lanes);
    second = vmladavaq_p_s8(second, codes, vldrbq_z_s8(weights + rest, lanes), lanes);
    third = vmladavaq_p_s8(third, codes, vldrbq_z_s8(weights + 2 * rest, lanes), lanes);
    fourth = vmladavaq_p_s8(fourth, codes, vldrbq_z_s8(weights + 3 * rest, lanes), lanes);
    place = {place.codes + rest, weights + 4 * rest};
  }
  *sums = {first, second, third, fourth};
  return place;
}

// The codes of sums, where TilePlan::is_quick holds.
template <Rounding kRounding>
static inline int32x4_t Scaled(int32x4_t sums, const TileHead& head, const Ends& ends) {
  const int32x4_t multiplier = vldrwq_s32(head.multiplier);
  const int32x4_t shift = vldrwq_s32(head.shift);
  if (kRounding == Rounding::kDouble) {
    sums = vqrdmulhq_s32(sums, multiplier);
    sums = vaddq_s32(sums, vshrq_n_s32(sums, 31));  // halves away from zero
    sums = vrshlq_s32(sums, shift);
  } else {
    sums = vmulhq_s32(sums, multiplier);
    sums = vrshlq_s32(sums, vaddq_n_s32(shift, 1));
  }
  sums = vaddq_n_s32(sums, ends.output_zero_point);
  return vminq_s32(vmaxq_s32(sums, ends.low), ends.high);
}

template <Rounding kRounding>
static inline void RunSweep(const Sweep& sweep, const TilePlan& plan) {
  const Ends ends = {plan.output_zero_point, vdupq_n_s32(plan.clamp.min),
                     vdupq_n_s32(plan.clamp.max)};
  const int32_t blocks = sweep.run_bytes / 16, rest = sweep.run_bytes % 16;
  const int32_t run_jump = sweep.run_step - sweep.run_bytes;
  const int8_t* patch = sweep.patch;
  int8_t* output = sweep.output;
  for (int32_t pixel = 0; pixel < sweep.pixels; ++pixel) {
    const uint8_t* tile = sweep.tiles;
    for (int32_t channel = 0; channel < sweep.channels; channel += kTileChannels) {
      const TileHead& head = *reinterpret_cast<const TileHead*>(tile);
      portable::Sums sums = {head.bias[0], head.bias[1], head.bias[2], head.bias[3]};
      Place place = {patch, head.weights};
      for (int32_t count = 0; count < sweep.runs; ++count) {
        place = AddRun(place, blocks, rest, &sums);
        place.codes += run_jump;
      }
      const int32x4_t lanes = {sums.first, sums.second, sums.third, sums.fourth};
      const int32x4_t codes = Scaled<kRounding>(lanes, head, ends);
      vstrbq_p_s32(output + channel, codes, vctp32q(sweep.channels - channel));
      tile += kTileHeadBytes + plan.room_bytes;
    }
    patch += sweep.patch_step;
    output += sweep.output_step;
  }
}

}  // namespace helium
}  // namespace micro
}  // namespace edgeax
