#include "tflite_kernels/micro/conv2d.h"

namespace edgeax {
namespace micro {
namespace {

const int8_t* TileOf(const void* source, int32_t tile, int8_t*) {
  const Conv2DArgs& args = *static_cast<const Conv2DArgs*>(source);
  return args.weights + tile * (kTileChannels * args.plan.runs * args.plan.run_bytes);
}

}  // namespace

template <Rounding kRounding>
void Conv2D(const Conv2DArgs& args, const Rows& rows, const int8_t* input, int8_t* output,
            void* scratch) {
  const Convolution convolution = {&args.shape,  args.plan, args.tile,       args.input_zero_point,
                                   args.factors, args.bias, {TileOf, &args}, RunSweep<kRounding>};
  const int32_t row = args.shape.output_width * args.shape.output_channels;
  const OutputPlace place = {output, args.shape.output_channels, row,
                             args.shape.output_height * row};
  Convolve<kRounding>(convolution, rows, input, place, scratch);
}

template void Conv2D<Rounding::kSingle>(const Conv2DArgs&, const Rows&, const int8_t*, int8_t*,
                                        void*);
template void Conv2D<Rounding::kDouble>(const Conv2DArgs&, const Rows&, const int8_t*, int8_t*,
                                        void*);

}  // namespace micro
}  // namespace edgeax
