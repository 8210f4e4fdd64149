#include "tflite_kernels/micro/packed_depthwise_conv2d.h"

#include "tflite_kernels/micro/packed_codes.h"

namespace edgeax {
namespace micro {
namespace {

void Decode(const void* packed, int32_t channel, int32_t count, int8_t* decoded) {
  const auto& args = *static_cast<const PackedDepthwiseConv2DArgs*>(packed);
  const DepthwiseConv2DArgs& layer = args.layer;
  const int32_t block = channel / (kDepthwiseBlock * layer.depth_multiplier);
  DecodeCodes(args.bits, args.codes + block * args.block_bytes, args.codebook,
              layer.kernel_height * layer.kernel_width * count, decoded);
}

template <typename Code>
DepthwiseSource SourceOf(const PackedDepthwiseConv2DArgs& args, void* scratch) {
  const int32_t plane_size = args.layer.plane_rows * args.layer.plane_pitch;
  Code* const planes = static_cast<Code*>(scratch);
  Code* const behind = planes + kDepthwiseBlock * plane_size + kDepthwiseSlack;
  return {Decode, &args, reinterpret_cast<int8_t*>(behind)};
}

}  // namespace

template <Rounding kRounding>
void PackedDepthwiseConv2D(const PackedDepthwiseConv2DArgs& args, const Rows& rows,
                           const int8_t* input, int8_t* output, void* scratch) {
  const DepthwiseSource source = SourceOf<int8_t>(args, scratch);
  DepthwiseConv2D<kRounding>(args.layer, source, rows, input, output, scratch);
}

template void PackedDepthwiseConv2D<Rounding::kSingle>(const PackedDepthwiseConv2DArgs&,
                                                       const Rows&, const int8_t*, int8_t*, void*);
template void PackedDepthwiseConv2D<Rounding::kDouble>(const PackedDepthwiseConv2DArgs&,
                                                       const Rows&, const int8_t*, int8_t*, void*);

void PackedDepthwiseConv2D(const PackedDepthwiseConv2DArgs& args, const Rows& rows,
                           const int16_t* input, int16_t* output, void* scratch) {
  const DepthwiseSource source = SourceOf<int16_t>(args, scratch);
  DepthwiseConv2D(args.layer, source, rows, input, output, scratch);
}

}  // namespace micro
}  // namespace edgeax
