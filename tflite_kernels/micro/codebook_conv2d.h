#pragma once  // micro/codebook_conv2d.h: convolutions with weights in codes of 4, 2 or 1 bits.

#include "tflite_kernels/micro/packed_layer.h"

namespace edgeax {
namespace micro {

// Codes lie in groups of 16 bytes, which have a code for each of 16 * (8 / bits) weights, which lie
// one after the other in a tile: the lowest bits of its bytes are the codes of the first 16. The
// last group of a tile is cut off behind its last weight; where that has fewer than 16, so has it
// bytes.
struct CodebookConv2DArgs {
  PackedLayer layer;
  int32_t bits;
  int32_t tile_code_bytes;
  const int8_t* codebook;  // 2 to the power of `bits` weights
  const uint8_t* codes;    // tiles of a group, then those of the next
};

// Scratch: see Convolve.
template <Rounding kRounding>
void CodebookConv2D(const CodebookConv2DArgs& args, const Rows& rows, const int8_t* input,
                    int8_t* output, void* scratch);

}  // namespace micro
}  // namespace edgeax
