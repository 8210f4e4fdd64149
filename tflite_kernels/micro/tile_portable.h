#pragma once  // micro/tile_portable.h: tiles in portable C++.

#include "tflite_kernels/micro/tile.h"

namespace edgeax {
namespace micro {
namespace portable {

struct Sums {
  int32_t first, second, third, fourth;
};

// Adds the products of a run. Sums wrap around.
static inline void AddRun(const int8_t* input, const int8_t* weights, int32_t run_bytes,
                          int32_t block, Sums* sums) {
  uint32_t first = sums->first, second = sums->second, third = sums->third, fourth = sums->fourth;
  for (int32_t rest = run_bytes; rest > 0; rest -= block) {
    const int32_t size = rest < block ? rest : block;
    for (int32_t k = 0; k < size; ++k) {
      const int32_t code = *input++;
      first += static_cast<uint32_t>(code * weights[0]);
      second += static_cast<uint32_t>(code * weights[size]);
      third += static_cast<uint32_t>(code * weights[2 * size]);
      fourth += static_cast<uint32_t>(code * weights[3 * size]);
      ++weights;
    }
    weights += 3 * size;
  }
  *sums = {static_cast<int32_t>(first), static_cast<int32_t>(second), static_cast<int32_t>(third),
           static_cast<int32_t>(fourth)};
}

// The same of a carried tile.
static inline void AddCarriedRun(const int8_t* input, const int8_t* weights, int32_t run_bytes,
                                 Sums* sums) {
  int32_t* const list[] = {&sums->first, &sums->second, &sums->third, &sums->fourth};
  for (int32_t k = 0; k < run_bytes; k += 4) {
    for (int32_t place = 0; place < 8; ++place, weights += 2) {
      const int32_t code = input[k + (place >> 1 & 1) + 2 * (place & 1)];
      const int32_t even = weights[0], odd = weights[1] + (even < 0 ? 1 : 0);
      *list[place >> 2 << 1] += code * even;
      *list[(place >> 2 << 1) + 1] += code * odd;
    }
  }
}

// What sums begin with.
static inline Sums BiasOf(const TileHead& head, bool is_carried) {
  if (!is_carried) return {head.bias[0], head.bias[1], head.bias[2], head.bias[3]};
  const auto odd = [](int32_t even, int32_t both) {
    return static_cast<int32_t>(static_cast<uint32_t>(both) - static_cast<uint32_t>(even)) >> 8;
  };
  return {head.bias[0], odd(head.bias[0], head.bias[1]), head.bias[2],
          odd(head.bias[2], head.bias[3])};
}

template <Rounding kRounding>
static inline void StoreTile(const TileHead& head, const TilePlan& plan, const Sums& sums,
                             int32_t channels, int8_t* output) {
  const int32_t values[kTileChannels] = {sums.first, sums.second, sums.third, sums.fourth};
  for (int32_t channel = 0; channel < channels; ++channel) {
    const Requantization factor = {head.multiplier[channel], head.shift[channel]};
    const int32_t scaled = Requantize(values[channel], factor, kRounding);
    const int32_t code = SaturateToInt32(int64_t{scaled} + plan.output_zero_point);
    output[channel] = static_cast<int8_t>(Clamped(code, plan.clamp));
  }
}

template <Rounding kRounding>
static inline void FinishTile(const TilePlan&, int32_t, const TileHead* head, uint8_t* tile) {
  *reinterpret_cast<TileHead*>(tile) = *head;
}

template <Rounding kRounding>
static inline void RunSweep(const Sweep& sweep, const TilePlan& plan) {
  const int8_t* patch = sweep.patch;
  int8_t* output = sweep.output;
  for (int32_t pixel = 0; pixel < sweep.pixels; ++pixel) {
    const uint8_t* tile = sweep.tiles;
    for (int32_t channel = 0; channel < sweep.channels; channel += kTileChannels) {
      const TileHead& head = *reinterpret_cast<const TileHead*>(tile);
      Sums sums = BiasOf(head, plan.is_carried != 0);
      const int8_t* weights = head.weights;
      const int8_t* run = patch;
      for (int32_t count = 0; count < sweep.runs; ++count) {
        if (plan.is_carried != 0) {
          AddCarriedRun(run, weights, sweep.run_bytes, &sums);
        } else {
          AddRun(run, weights, sweep.run_bytes, plan.block, &sums);
        }
        weights += kTileChannels * sweep.run_bytes;
        run += sweep.run_step;
      }
      const int32_t rest = sweep.channels - channel;
      StoreTile<kRounding>(head, plan, sums, rest < kTileChannels ? rest : kTileChannels,
                           output + channel);
      tile += kTileHeadBytes + plan.room_bytes;
    }
    patch += sweep.patch_step;
    output += sweep.output_step;
  }
}

}  // namespace portable
}  // namespace micro
}  // namespace edgeax
