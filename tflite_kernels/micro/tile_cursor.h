#pragma once  // micro/tile_cursor.h: a tile written weight by weight.

#include "tflite_kernels/micro/packed_layer.h"

namespace edgeax {
namespace micro {

// Where the next weight of each of 4 channels goes: to[0], to[size], to[2 * size], to[3 * size].
struct TileCursor {
  int8_t* to;
  int32_t size;        // weights of a channel in this block
  int32_t block_left;  // of them not yet written
  int32_t run_left;    // weights of a channel in this run that lie behind this block
  int32_t block, run_bytes;
};

static inline void BeginBlock(TileCursor* cursor) {
  if (cursor->run_left == 0) cursor->run_left = cursor->run_bytes;
  cursor->size = cursor->run_left < cursor->block ? cursor->run_left : cursor->block;
  cursor->block_left = cursor->size;
  cursor->run_left -= cursor->size;
}

static inline TileCursor BeginTile(const PackedLayer& layer, int8_t* to) {
  TileCursor cursor = {to, 0, 0, 0, layer.tile.block, layer.plan.run_bytes};
  BeginBlock(&cursor);
  return cursor;
}

static inline void Advance(TileCursor* cursor) {
  ++cursor->to;
  if (--cursor->block_left > 0) return;
  cursor->to += (kTileChannels - 1) * cursor->size;
  BeginBlock(cursor);
}

// Writes the zeros behind the weights of all rows.
static inline void FillTile(int32_t count, TileCursor* cursor) {
  for (; count > 0; --count, Advance(cursor)) {
    for (int32_t i = 0; i < kTileChannels; ++i) cursor->to[i * cursor->size] = 0;
  }
}

}  // namespace micro
}  // namespace edgeax
