#pragma once  // micro/tile.h: tiles of 4 output channels, the unit of all products of programs.

// Weights of a tile: its runs one after the other; each run is cut into blocks of `block` weights
// (the last may be shorter); in a block the 4 channels follow each other. Channels that a layer has
// not are filled up with zeros. So one pointer reads all 4 channels in passing.
//
// Carried tiles, of layers whose tiles are used once on cores with DSP instructions: blocks are 4
// weights, as 8 half words: of channels 0 and 1 the weights 0 and 2, then 1 and 3; then of channels
// 2 and 3. A half word is the weight of the even channel and 256 times that of the odd one, so that
// a sum with half words is the sum of the even channel and 256 times that of the odd one. The bias
// of the odd channel is such a sum too.
//
// Paired tiles, in rooms on cores with DSP instructions, of layers whose weights are -1, 0 and 1: a
// half word is the weight of an even channel and 2**14 times that of the next one, so that a sum
// with half words holds both sums, until that of the even channel leaves 14 bits. So runs are cut
// into pieces, and behind each the sum of the even channel is taken out.
//
// A kernel with packed weights decodes a tile in this order to where Convolve (convolution.h) tells
// it, and leaves the rest to Convolve.
//
// Each instruction set has its own loops: tile_portable.h, tile_dsp.h, tile_helium.h.

#include "tflite_kernels/micro/types.h"

namespace edgeax {
namespace micro {

constexpr int32_t kTileChannels = 4;

// What all tiles of a layer share.
struct TilePlan {
  int32_t block;        // weights of a channel that lie together
  int32_t room_bytes;   // room of a tile's weights in scratch; 0: they are read where they lie
  int32_t is_carried;   // only where is_quick, and no sum of an odd channel reaches 2**23
  int32_t is_expanded;  // whether the room is for weights of 16 bits; only where is_quick
  // Weights of a channel in a piece of a paired tile, whole blocks and a part of a run; 0: tiles
  // are not paired. Only where is_expanded, no sum of an even channel in a piece reaches 2**13, and
  // none of an odd one 2**17.
  int32_t piece_bytes;
  int32_t factor_step;  // 1: a factor per channel, 0: one for all
  // Whether no sum reaches 2**29 and all factors have shifts from -20 to -1 (single rounding: to
  // -2), so that they need no saturation.
  int32_t is_quick;
  int32_t output_zero_point;
  Clamp clamp;
};

// What the loops know of a tile, in scratch, before its room. Instruction sets that have weights of
// their own in the room put them behind the biases, and the rest behind them.
struct TileHead {
  int32_t bias[kTileChannels];
  const int8_t* weights;
  int32_t multiplier[kTileChannels];
  int32_t offset[kTileChannels];
  int32_t shift[kTileChannels];
};
constexpr int32_t kTileHeadBytes = 72;
static_assert(sizeof(TileHead) <= kTileHeadBytes, "a head fits");

// Patches, and the tiles that all of them are multiplied with.
struct Sweep {
  const int8_t* patch;  // the first
  int32_t patch_step;   // bytes between patches
  int32_t pixels;
  int8_t* output;  // of the first pixel
  int32_t output_step;
  const uint8_t* tiles;  // heads and rooms, one after the other
  int32_t channels;      // of all tiles together
  int32_t runs, run_bytes, run_step;
  const void* source;  // of the weights, where the tiles do not tell everything
};

// Prepares the tile that begins with a channel. Its weights, patch_bytes a channel, are at
// `weights`: in flash, or at the end of its room.
template <Rounding kRounding>
void PrepareTile(const TilePlan& plan, const Factors& factors, const int32_t* bias, int32_t channel,
                 int32_t patch_bytes, const int8_t* weights, uint8_t* tile);

// Computes the output codes of all pixels in all channels of a sweep.
template <Rounding kRounding>
void RunSweep(const Sweep& sweep, const TilePlan& plan);

}  // namespace micro
}  // namespace edgeax
