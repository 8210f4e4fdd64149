#include "tflite_kernels/micro/transpose_conv.h"

namespace edgeax {
namespace micro {
namespace {

struct Weights {
  const int8_t* first;
  int32_t tile_bytes;
};

const int8_t* TileOf(const void* source, int32_t tile, int8_t*) {
  const Weights& weights = *static_cast<const Weights*>(source);
  return weights.first + tile * weights.tile_bytes;
}

ConvolutionShape ShapeOf(const ConvolutionShape& whole, const TransposePhase& phase) {
  ConvolutionShape shape = whole;
  shape.output_height = phase.rows;
  shape.output_width = phase.columns;
  shape.kernel_height = phase.kernel_height;
  shape.kernel_width = phase.kernel_width;
  shape.stride_height = shape.stride_width = 1;
  shape.pad_top = phase.pad_top;
  shape.pad_left = phase.pad_left;
  return shape;
}

OutputPlace PlaceOf(const ConvolutionShape& whole, const TransposePhase& phase, int8_t* output) {
  const int32_t row = whole.output_width * whole.output_channels;
  return {output + phase.first_row * row + phase.first_column * whole.output_channels,
          whole.stride_width * whole.output_channels, whole.stride_height * row,
          whole.output_height * row};
}

}  // namespace

template <Rounding kRounding>
void TransposeConv(const TransposeConvArgs& args, const int8_t* input, int8_t* output,
                   void* scratch) {
  const int32_t tiles = (args.shape.output_channels + kTileChannels - 1) / kTileChannels;
  Weights weights = {args.weights, 0};
  const int32_t* bias = args.bias;
  for (int32_t number = 0; number < args.phases; ++number) {
    TransposePhase phase;
    __builtin_memcpy(&phase, args.numbers + number * (sizeof(phase) / sizeof(int32_t)),
                     sizeof(phase));
    const ConvolutionShape shape = ShapeOf(args.shape, phase);
    ConvolutionPlan plan = args.plan;
    plan.runs = phase.runs;
    plan.run_bytes = phase.run_bytes;
    plan.is_direct = phase.is_direct;
    weights.tile_bytes = kTileChannels * phase.runs * phase.run_bytes;
    const Convolution convolution = {&shape,       plan, args.tile,          args.input_zero_point,
                                     args.factors, bias, {TileOf, &weights}, RunSweep<kRounding>};
    Convolve<kRounding>(convolution, {0, phase.rows, 0}, input, PlaceOf(args.shape, phase, output),
                        scratch);
    weights.first += tiles * weights.tile_bytes;
    bias += tiles * kTileChannels;
  }
}

template void TransposeConv<Rounding::kSingle>(const TransposeConvArgs&, const int8_t*, int8_t*,
                                               void*);
template void TransposeConv<Rounding::kDouble>(const TransposeConvArgs&, const int8_t*, int8_t*,
                                               void*);

}  // namespace micro
}  // namespace edgeax
