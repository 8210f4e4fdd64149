#pragma once  // micro/ternary_portable.h: tiles of digits in portable C++.

#include "tflite_kernels/micro/ternary_conv2d.h"
#include "tflite_kernels/micro/tile_portable.h"

namespace edgeax {
namespace micro {
namespace portable {

static inline Sums TernarySums(const TileHead& head, const Sweep& sweep, const int8_t* patch) {
  uint32_t sums[kTileChannels];
  for (int32_t i = 0; i < kTileChannels; ++i) sums[i] = static_cast<uint32_t>(head.bias[i]);
  const int8_t* digits = head.weights;
  for (int32_t run = 0; run < sweep.runs; ++run) {
    for (int32_t k = 0; k < sweep.run_bytes; ++k) {
      int32_t quarter = digits[k];
      for (int32_t i = 0; i < kTileChannels; ++i, quarter = (quarter + 2) >> 2) {
        sums[i] += static_cast<uint32_t>(patch[k] * quarter);
      }
    }
    digits += DigitBytes(sweep.run_bytes);
    patch += sweep.run_step;
  }
  for (int32_t i = 0; i + 1 < kTileChannels; ++i) sums[i] -= 4 * sums[i + 1];
  return {static_cast<int32_t>(sums[0]), static_cast<int32_t>(sums[1]),
          static_cast<int32_t>(sums[2]), static_cast<int32_t>(sums[3])};
}

template <Rounding kRounding>
static void RunTernary(const Sweep& sweep, const TilePlan& plan) {
  const int8_t* patch = sweep.patch;
  int8_t* output = sweep.output;
  for (int32_t pixel = 0; pixel < sweep.pixels; ++pixel) {
    const uint8_t* tile = sweep.tiles;
    for (int32_t rest = sweep.channels; rest > 0; rest -= kTileChannels) {
      const TileHead& head = *reinterpret_cast<const TileHead*>(tile);
      StoreTile<kRounding>(head, plan, TernarySums(head, sweep, patch),
                           rest < kTileChannels ? rest : kTileChannels,
                           output + sweep.channels - rest);
      tile += kTileHeadBytes + plan.room_bytes;
    }
    patch += sweep.patch_step;
    output += sweep.output_step;
  }
}

}  // namespace portable
}  // namespace micro
}  // namespace edgeax
