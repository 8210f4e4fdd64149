#include "tflite_kernels/micro/conv2d_int16.h"

namespace edgeax {
namespace micro {
namespace {

// A place of the kernel over an image and a group.
struct Patch {
  const int16_t* image;  // row `input_begin`, first channel of the group
  int32_t input_begin;
  int32_t y, x;  // of the first tap
};

// Sums of products have magnitudes below 2**40: 65536 * 128 * 32768.
int64_t SumOf(const ConvolutionShape& shape, const Patch& patch, const int8_t* weights) {
  const int32_t depth = shape.input_channels / shape.groups;
  int64_t sum = 0;
  int32_t y = patch.y;
  for (int32_t i = 0; i < shape.kernel_height; ++i, y += shape.dilation_height) {
    int32_t x = patch.x;
    for (int32_t j = 0; j < shape.kernel_width; ++j, x += shape.dilation_width, weights += depth) {
      if (y < 0 || y >= shape.input_height || x < 0 || x >= shape.input_width) continue;
      const int16_t* codes =
          patch.image + ((y - patch.input_begin) * shape.input_width + x) * shape.input_channels;
      for (int32_t k = 0; k < depth; ++k) sum += codes[k] * weights[k];
    }
  }
  return sum;
}

template <Rounding kRounding>
void ConvolvePixel(const Conv2DInt16Args& args, const Patch& first_group, int16_t* output) {
  const ConvolutionShape& shape = args.shape;
  const int32_t depth = shape.input_channels / shape.groups;
  const int32_t channels = shape.output_channels / shape.groups;
  const int32_t size = shape.kernel_height * shape.kernel_width * depth;
  Patch patch = first_group;
  for (int32_t group = 0, channel = 0; group < shape.groups; ++group, patch.image += depth) {
    for (const int32_t end = channel + channels; channel < end; ++channel) {
      const int64_t sum = args.bias[channel] + SumOf(shape, patch, args.weights + channel * size);
      const Requantization factor = FactorOf(args.factors, channel * args.factor_step);
      const int64_t scaled = RequantizeInt16(sum, factor, kRounding);
      output[channel] = static_cast<int16_t>(Clamped(SaturateToInt32(scaled), args.clamp));
    }
  }
}

}  // namespace

template <Rounding kRounding>
void Conv2D(const Conv2DInt16Args& args, const Rows& rows, const int16_t* input, int16_t* output) {
  const ConvolutionShape& shape = args.shape;
  const int32_t image_size = shape.input_height * shape.input_width * shape.input_channels;
  for (int32_t batch = 0; batch < shape.batches; ++batch, input += image_size) {
    for (int32_t y = rows.begin; y < rows.end; ++y) {
      for (int32_t x = 0; x < shape.output_width; ++x, output += shape.output_channels) {
        const Patch patch = {input, rows.input_begin, y * shape.stride_height - shape.pad_top,
                             x * shape.stride_width - shape.pad_left};
        ConvolvePixel<kRounding>(args, patch, output);
      }
    }
  }
}

template void Conv2D<Rounding::kSingle>(const Conv2DInt16Args&, const Rows&, const int16_t*,
                                        int16_t*);
template void Conv2D<Rounding::kDouble>(const Conv2DInt16Args&, const Rows&, const int16_t*,
                                        int16_t*);

}  // namespace micro
}  // namespace edgeax
