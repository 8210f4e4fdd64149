#include "tflite_kernels/micro/conv2d_int16.h"

#include "tflite_kernels/micro/convolution_int16.h"

namespace edgeax {
namespace micro {

template <Rounding kRounding>
void Conv2D(const Conv2DInt16Args& args, const Rows& rows, const int16_t* input, int16_t* output) {
  const ConvolutionShape& shape = args.shape;
  const int32_t depth = shape.input_channels / shape.groups;
  const int32_t channels = shape.output_channels / shape.groups;
  const int32_t size = ChannelSize(shape);
  const int32_t output_size = (rows.end - rows.begin) * shape.output_width * shape.output_channels;
  const auto compute = [&](PatchInt16 patch, int16_t* pixel) {
    const int8_t* weights = args.weights;
    for (int32_t group = 0, channel = 0; group < shape.groups; ++group, patch.image += depth) {
      for (const int32_t end = channel + channels; channel < end; ++channel, weights += size) {
        pixel[channel] = CodeOfSum<kRounding>(args, channel, SumOfPatch(shape, patch, weights));
      }
    }
  };
  for (int32_t batch = 0; batch < shape.batches; ++batch, output += output_size) {
    ForPixels(shape, rows, input, output, compute);
    input += InputSize(shape);
  }
}

template void Conv2D<Rounding::kSingle>(const Conv2DInt16Args&, const Rows&, const int16_t*,
                                        int16_t*);
template void Conv2D<Rounding::kDouble>(const Conv2DInt16Args&, const Rows&, const int16_t*,
                                        int16_t*);

}  // namespace micro
}  // namespace edgeax
