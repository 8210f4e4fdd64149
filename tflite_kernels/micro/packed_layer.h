#pragma once  // micro/packed_layer.h: what convolutions with packed weights share.

// Weights are packed in the order of tile.h. The kernels decode a tile to scratch, and sweep over
// all pixels with it; no more than the tiles of one sweep are ever decoded.

#include "tflite_kernels/micro/convolution.h"

namespace edgeax {
namespace micro {

struct PackedLayer {
  ConvolutionShape shape;
  ConvolutionPlan plan;
  TilePlan tile;
  int32_t input_zero_point;
  Factors factors;
  const int32_t* bias;  // without what the zero point of the input adds
};

static inline int32_t TileBytes(const PackedLayer& layer) {
  return kTileChannels * layer.plan.runs * layer.plan.run_bytes;
}

template <Rounding kRounding>
static inline void ConvolvePacked(const PackedLayer& layer, const WeightSource& weights,
                                  const Rows& rows, const int8_t* input, int8_t* output,
                                  void* scratch,
                                  void (*run)(const Sweep&,
                                              const TilePlan&) = RunSweep<kRounding>) {
  const Convolution convolution = {&layer.shape,  layer.plan, layer.tile, layer.input_zero_point,
                                   layer.factors, layer.bias, weights,    run};
  const int32_t row = layer.shape.output_width * layer.shape.output_channels;
  const OutputPlace place = {output, layer.shape.output_channels, row,
                             layer.shape.output_height * row};
  Convolve<kRounding>(convolution, rows, input, place, scratch);
}

}  // namespace micro
}  // namespace edgeax
