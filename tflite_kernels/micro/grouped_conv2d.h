#pragma once  // micro/grouped_conv2d.h: convolutions whose groups of weights choose a codebook.

#include "tflite_kernels/micro/packed_layer.h"

namespace edgeax {
namespace micro {

// A row of weights is `depth` codes of 4 or 2 bits; each `group` of them, the last may be shorter,
// is looked up in a codebook of its own. A tile holds for each group of its rows the numbers of the
// codebooks of its 4 channels, a byte each, then the codes of the 4 channels one beside the other.
struct GroupedConv2DArgs {
  PackedLayer layer;
  int32_t depth, group, bits;
  int32_t tile_bytes;
  const int8_t* codebooks;  // of 2 to the power of `bits` weights each
  const uint8_t* codes;     // tiles of a group of channels, then those of the next
};

// Scratch: see Convolve.
template <Rounding kRounding>
void GroupedConv2D(const GroupedConv2DArgs& args, const Rows& rows, const int8_t* input,
                   int8_t* output, void* scratch);

}  // namespace micro
}  // namespace edgeax
