#pragma once  // micro/sparse_portable.h: sparse tiles in portable C++.

#include "tflite_kernels/micro/sparse_conv2d.h"
#include "tflite_kernels/micro/tile_portable.h"

namespace edgeax {
namespace micro {
namespace portable {

static inline void PrepareBlocks(const SparseConv2DArgs&, const int8_t*, int32_t, int8_t*) {}

static inline Sums SparseSums(const TileHead& head, const int16_t* places, const int8_t* patch) {
  uint32_t sums[kTileChannels];
  for (int32_t i = 0; i < kTileChannels; ++i) sums[i] = static_cast<uint32_t>(head.bias[i]);
  const int8_t* weights = head.weights;
  for (; *places >= 0; ++places) {
    const int8_t* codes = patch + *places;
    for (int32_t i = 0; i < kTileChannels; ++i, weights += 4) {
      for (int32_t k = 0; k < 4; ++k) sums[i] += static_cast<uint32_t>(codes[k] * weights[k]);
    }
  }
  return {static_cast<int32_t>(sums[0]), static_cast<int32_t>(sums[1]),
          static_cast<int32_t>(sums[2]), static_cast<int32_t>(sums[3])};
}

// `shift_change`: how much larger the shifts of heads are than those of their factors.
template <Rounding kRounding>
static inline void RunSparse(const SparseConv2DArgs& args, const Sweep& sweep, const TilePlan& plan,
                             int32_t shift_change = 0) {
  const int32_t places = kTileHeadBytes + PlacesAt(args, sweep);
  const int8_t* patch = sweep.patch;
  int8_t* output = sweep.output;
  for (int32_t pixel = 0; pixel < sweep.pixels; ++pixel) {
    const uint8_t* tile = sweep.tiles;
    for (int32_t rest = sweep.channels; rest > 0; rest -= kTileChannels) {
      TileHead head = *reinterpret_cast<const TileHead*>(tile);
      for (int32_t i = 0; i < kTileChannels; ++i) head.shift[i] -= shift_change;
      const Sums sums = SparseSums(head, reinterpret_cast<const int16_t*>(tile + places), patch);
      StoreTile<kRounding>(head, plan, sums, rest < kTileChannels ? rest : kTileChannels,
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
