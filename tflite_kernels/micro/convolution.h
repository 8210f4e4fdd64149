#pragma once  // micro/convolution.h: the loop over pixels that all convolutions of programs share.

#include "tflite_kernels/micro/convolution_shape.h"
#include "tflite_kernels/micro/tile.h"
#include "tflite_kernels/micro/types.h"

namespace edgeax {
namespace micro {

// How a convolution is cut.
struct ConvolutionPlan {
  // A patch, what an output pixel reads, is `runs` runs of `run_bytes`: the rows of the kernel
  // where an input row holds them one after the other, or one run, for which it is copied.
  int32_t runs, run_bytes;
  int32_t is_direct;       // whether patches inside the image are read where they lie
  int32_t patches;         // copied patches that scratch has room for
  int32_t sweep_channels;  // channels of the tiles that scratch has room for, a multiple of 4
};

// Where the weights of tiles come from. `tile` returns the weights of tile number `tile` in the
// order of tile.h: where they lie in flash, or, of packed weights, `decoded` after it has decoded
// them to there, 4 * runs * run_bytes of them. It is called once per tile and sweep over all rows.
//
// So a convolution with packed weights is a function of this kind, arguments that embed shape, plan
// and tile, and a call of Convolve, as in conv2d.cc. In Python `conv2d.plan_for(..., decodes=True)`
// gives TilePlan::room_bytes for what is decoded.
struct WeightSource {
  const int8_t* (*tile)(const void* source, int32_t tile, int8_t* decoded);
  const void* source;
};

// Where the output pixels go, counted in elements.
struct OutputPlace {
  int8_t* first;  // the first row that is computed, of the first image
  int32_t pixel_step, row_step, image_step;
};

struct Convolution {
  const ConvolutionShape* shape;
  ConvolutionPlan plan;
  TilePlan tile;
  int32_t input_zero_point;
  Factors factors;
  const int32_t* bias;  // `groups` times the channels of a group, filled up to tiles
  WeightSource weights;
  void (*run)(const Sweep& sweep, const TilePlan& plan);  // RunSweep, or what reads other tiles
};

// Scratch, 8-aligned: the copied patches, each filled up to a multiple of 4 bytes, all to one of 8;
// then the tiles of a sweep, see tile.h.
template <Rounding kRounding>
void Convolve(const Convolution& convolution, const Rows& rows, const int8_t* input,
              const OutputPlace& output, void* scratch);

}  // namespace micro
}  // namespace edgeax
