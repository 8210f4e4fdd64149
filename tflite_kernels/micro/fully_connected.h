#pragma once  // micro/fully_connected.h: FULLY_CONNECTED of int8 codes.

#include "tflite_kernels/micro/tile.h"
#include "tflite_kernels/micro/types.h"

namespace edgeax {
namespace micro {

struct FullyConnectedArgs {
  int32_t rows, depth, outputs;  // `depth` weights of a channel, as many as an input row has codes
  TilePlan tile;
  Factors factors;
  const int32_t* bias;    // without what the zero point of the input adds, filled up to tiles
  const int8_t* weights;  // see tile.h; a row is one run
};

template <Rounding kRounding>
void FullyConnected(const FullyConnectedArgs& args, const int8_t* input, int8_t* output);

}  // namespace micro
}  // namespace edgeax
