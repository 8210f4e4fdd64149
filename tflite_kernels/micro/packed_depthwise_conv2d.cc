#include "tflite_kernels/micro/packed_depthwise_conv2d.h"

#include "tflite_kernels/micro/packed_codes.h"

namespace edgeax {
namespace micro {
namespace {

template <Rounding kRounding, typename Code>
void Run(const PackedDepthwiseConv2DArgs& args, const Rows& rows, const Code* input, Code* output,
         Code* scratch) {
  DepthwiseConv2DArgs layer = args.layer;
  const int32_t taps = layer.kernel_height * layer.kernel_width;
  const int32_t plane_size = layer.plane_rows * layer.plane_pitch;
  Code* const behind = scratch + kDepthwiseBlock * plane_size + kDepthwiseSlack;
  int8_t* const weights = reinterpret_cast<int8_t*>(behind);
  FillDepthwise(layer, scratch);
  for (int32_t n = 0; n < layer.batch; ++n) {
    const uint8_t* codes = args.codes;
    for (int32_t channel = 0; channel < layer.channels; channel += kDepthwiseBlock) {
      const int32_t left = layer.channels - channel;
      const int32_t planes = left < kDepthwiseBlock ? left : kDepthwiseBlock;
      layer.weight_step = planes * layer.depth_multiplier;
      codes = DecodeCodes(args.bits, codes, args.codebook, taps * layer.weight_step, weights);
      DepthwiseBlock<kRounding>(layer, rows, channel, weights, input, output, scratch);
    }
    input += layer.height * layer.width * layer.channels;
    output += layer.output_height * layer.output_width * layer.channels * layer.depth_multiplier;
  }
}

}  // namespace

template <Rounding kRounding>
void PackedDepthwiseConv2D(const PackedDepthwiseConv2DArgs& args, const Rows& rows,
                           const int8_t* input, int8_t* output, void* scratch) {
  Run<kRounding>(args, rows, input, output, static_cast<int8_t*>(scratch));
}

template void PackedDepthwiseConv2D<Rounding::kSingle>(const PackedDepthwiseConv2DArgs&,
                                                       const Rows&, const int8_t*, int8_t*, void*);
template void PackedDepthwiseConv2D<Rounding::kDouble>(const PackedDepthwiseConv2DArgs&,
                                                       const Rows&, const int8_t*, int8_t*, void*);

void PackedDepthwiseConv2D(const PackedDepthwiseConv2DArgs& args, const Rows& rows,
                           const int16_t* input, int16_t* output, void* scratch) {
  Run<Rounding::kDouble>(args, rows, input, output, static_cast<int16_t*>(scratch));
}

}  // namespace micro
}  // namespace edgeax
