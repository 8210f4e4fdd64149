#include "tflite_kernels/micro/transpose_conv_int16.h"

#include "tflite_kernels/micro/convolution_int16.h"

namespace edgeax {
namespace micro {
namespace {

// What reaches the output at row y and column x, its padding counted in: taps whose distance from
// there is a multiple of the strides. Every `stride`-th tap meets one pixel less.
int64_t SumAt(const ConvolutionShape& shape, const int16_t* image, int32_t y, int32_t x,
              const int8_t* weights) {
  const int32_t depth = shape.input_channels;
  int64_t sum = 0;
  int32_t row = y / shape.stride_height;
  for (int32_t i = y % shape.stride_height; i < shape.kernel_height;
       i += shape.stride_height, --row) {
    if (row < 0 || row >= shape.input_height) continue;
    int32_t column = x / shape.stride_width;
    for (int32_t j = x % shape.stride_width; j < shape.kernel_width;
         j += shape.stride_width, --column) {
      if (column < 0 || column >= shape.input_width) continue;
      const int16_t* pixel = image + (row * shape.input_width + column) * depth;
      sum = DotInt16(pixel, weights + (i * shape.kernel_width + j) * depth, depth, sum);
    }
  }
  return sum;
}

}  // namespace

void TransposeConv(const TransposeConvInt16Args& args, const int16_t* input, int16_t* output) {
  const ConvolutionShape& shape = args.shape;
  const int32_t size = ChannelSize(shape);
  for (int32_t batch = 0; batch < shape.batches; ++batch, input += InputSize(shape)) {
    for (int32_t y = 0; y < shape.output_height; ++y) {
      for (int32_t x = 0; x < shape.output_width; ++x) {
        for (int32_t channel = 0; channel < shape.output_channels; ++channel) {
          const int64_t sum = SumAt(shape, input, y + shape.pad_top, x + shape.pad_left,
                                    args.weights + channel * size);
          *output++ = CodeOfSum<Rounding::kDouble>(args, channel, sum);
        }
      }
    }
  }
}

}  // namespace micro
}  // namespace edgeax
