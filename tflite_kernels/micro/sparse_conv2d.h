#pragma once  // micro/sparse_conv2d.h: convolutions that multiply blocks of weights that are left.

#include "tflite_kernels/micro/packed_layer.h"

namespace edgeax {
namespace micro {

// A block is 4 weights of each of the 4 channels of a tile, 16 bytes: those of a channel, then
// those of the next. Only blocks that are not all zeros are stored. A bit says of each place of a
// patch whether its block is stored, the first in the lowest bit of a byte. Kernels may read 4
// blocks at once, and so behind those of a tile.
struct SparseConv2DArgs {
  PackedLayer layer;
  int32_t most_blocks;  // of a tile
  int32_t tile_mask_bytes;
  const uint8_t* masks;
  const int32_t* starts;  // of each tile, the blocks before it; and of all
  const int8_t* blocks;
};

// Scratch: see Convolve. The room of a tile is a SparseRoom, and what the instruction set makes of
// the blocks.
template <Rounding kRounding>
void SparseConv2D(const SparseConv2DArgs& args, const Rows& rows, const int8_t* input,
                  int8_t* output, void* scratch);

// What is in the room of a tile: the number of its blocks; for each the bytes from the begin of a
// patch, where patches are read from an image, and -1; the same where they have been copied, if it
// is not the same.
constexpr int32_t kCountBytes = 4;

static inline int32_t ListBytes(const SparseConv2DArgs& args) {
  return 2 * args.most_blocks + 4 - 2 * (args.most_blocks & 1);
}

// Bytes before the blocks in a room.
static inline int32_t ListsBytes(const SparseConv2DArgs& args) {
  return kCountBytes + (args.layer.plan.runs > 1 ? 2 : 1) * ListBytes(args);
}

// The places that a sweep reads, in a room.
static inline int32_t PlacesAt(const SparseConv2DArgs& args, const Sweep& sweep) {
  const bool is_copied = args.layer.plan.runs > 1 && sweep.run_step == sweep.run_bytes;
  return kCountBytes + (is_copied ? ListBytes(args) : 0);
}

}  // namespace micro
}  // namespace edgeax
