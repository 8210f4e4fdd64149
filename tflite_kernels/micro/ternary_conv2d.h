#pragma once  // micro/ternary_conv2d.h: convolutions with weights of -1, 0 and 1, read in flash.

#include "tflite_kernels/micro/packed_layer.h"

namespace edgeax {
namespace micro {

// A byte has the weights of the 4 channels of a tile as digits: w0 + 4 * w1 + 16 * w2 + 64 * w3.
// Its quarter, rounded, is w1 + 4 * w2 + 16 * w3, and so on. So four sums with a byte and its
// quarters are A0 + 4 * B1, A1 + 4 * B2, A2 + 4 * A3 and A3, where A are the sums of the channels
// and B sums of the same kind. Biases are such sums too; all wrap around. Bytes of a run are filled
// up to a multiple of kDigitBlock with zeros.
struct TernaryConv2DArgs {
  PackedLayer layer;     // tiles have no room
  const int8_t* digits;  // tiles of a group, then those of the next
};

constexpr int32_t kDigitBlock = 16;

static inline int32_t DigitBytes(int32_t run_bytes) {
  return (run_bytes + kDigitBlock - 1) & -kDigitBlock;
}

// Scratch: see Convolve.
template <Rounding kRounding>
void TernaryConv2D(const TernaryConv2DArgs& args, const Rows& rows, const int8_t* input,
                   int8_t* output, void* scratch);

}  // namespace micro
}  // namespace edgeax
