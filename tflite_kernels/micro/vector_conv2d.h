#pragma once  // micro/vector_conv2d.h: convolutions whose weights are sub-vectors of a codebook.

#include "tflite_kernels/micro/packed_layer.h"

namespace edgeax {
namespace micro {

// A row of weights is `places` codewords of `length` weights each; that at place p is one of table
// p % tables. A tile holds for each place the indices of its 4 channels, in 4 or 8 bits.
struct VectorConv2DArgs {
  PackedLayer layer;
  int32_t places, length;
  int32_t tables, entries;
  int32_t index_bits;
  const int8_t* codebook;  // [tables, entries, length]
  const uint8_t* indices;  // tiles of a group, then those of the next
};

// Scratch: see Convolve.
template <Rounding kRounding>
void VectorConv2D(const VectorConv2DArgs& args, const Rows& rows, const int8_t* input,
                  int8_t* output, void* scratch);

}  // namespace micro
}  // namespace edgeax
