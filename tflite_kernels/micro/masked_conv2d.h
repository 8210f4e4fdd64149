#pragma once  // micro/masked_conv2d.h: convolutions whose weights are stored without zeros.

#include "tflite_kernels/micro/packed_layer.h"

namespace edgeax {
namespace micro {

// A tile is cut into pieces of 1, 4 or 16 weights. A bit says of each whether it is stored, the
// first in the lowest bit of a byte; others are zeros. A tile begins on a byte of its own. Kernels
// may read a piece of 4 behind the last one.
struct MaskedConv2DArgs {
  PackedLayer layer;
  int32_t piece;
  int32_t tile_mask_bytes;
  const uint8_t* masks;   // tiles of a group, then those of the next
  const int32_t* starts;  // of each tile, the stored pieces before it
  const int8_t* pieces;
};

// Scratch: see Convolve.
template <Rounding kRounding>
void MaskedConv2D(const MaskedConv2DArgs& args, const Rows& rows, const int8_t* input,
                  int8_t* output, void* scratch);

}  // namespace micro
}  // namespace edgeax
