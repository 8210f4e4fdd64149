#include "tflite_kernels/micro/codebook_conv2d_int16.h"

#include "tflite_kernels/micro/convolution_int16.h"
#include "tflite_kernels/micro/packed_codes.h"

namespace edgeax {
namespace micro {

template <Rounding kRounding>
void CodebookConv2D(const CodebookConv2DInt16Args& args, const Rows& rows, const int16_t* input,
                    int16_t* output, void* scratch) {
  const ConvolutionShape& shape = args.shape;
  const int32_t channels = shape.output_channels / shape.groups;
  const int32_t size = ChannelSize(shape);
  const int32_t output_size = (rows.end - rows.begin) * shape.output_width * shape.output_channels;
  int8_t* const weights = static_cast<int8_t*>(scratch);
  const uint8_t* codes = args.codes;
  for (int32_t channel = 0; channel < shape.output_channels; ++channel) {
    codes = DecodeCodes(args.bits, codes, args.codebook, size, weights);
    const int16_t* image = input + channel / channels * (shape.input_channels / shape.groups);
    int16_t* to = output + channel;
    for (int32_t batch = 0; batch < shape.batches; ++batch, to += output_size) {
      ForPixels(shape, rows, image, to, [&](const PatchInt16& patch, int16_t* code) {
        *code = CodeOfSum<kRounding>(args, channel, SumOfPatch(shape, patch, weights));
      });
      image += InputSize(shape);
    }
  }
}

template void CodebookConv2D<Rounding::kSingle>(const CodebookConv2DInt16Args&, const Rows&,
                                                const int16_t*, int16_t*, void*);
template void CodebookConv2D<Rounding::kDouble>(const CodebookConv2DInt16Args&, const Rows&,
                                                const int16_t*, int16_t*, void*);

}  // namespace micro
}  // namespace edgeax
