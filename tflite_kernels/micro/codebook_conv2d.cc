#include "tflite_kernels/micro/codebook_conv2d.h"

#if defined(EDGEAX_MICRO_PORTABLE)
#include "tflite_kernels/micro/codes_portable.h"
namespace codes = edgeax::micro::portable;
#elif defined(__ARM_FEATURE_MVE) && (__ARM_FEATURE_MVE & 1)
#include "tflite_kernels/micro/codes_helium.h"
namespace codes = edgeax::micro::helium;
#elif defined(__ARM_FEATURE_DSP)
#include "tflite_kernels/micro/codes_dsp.h"
namespace codes = edgeax::micro::dsp;
#else
#include "tflite_kernels/micro/codes_portable.h"
namespace codes = edgeax::micro::portable;
#endif

namespace edgeax {
namespace micro {
namespace {

const int8_t* TileOf(const void* source, int32_t tile, int8_t* decoded) {
  const CodebookConv2DArgs& args = *static_cast<const CodebookConv2DArgs*>(source);
  const uint8_t* from = args.codes + tile * args.tile_code_bytes;
  const int32_t size = TileBytes(args.layer);
  if (args.bits == 4) {
    codes::Decode<4>(from, args.codebook, size, decoded);
  } else if (args.bits == 2) {
    codes::Decode<2>(from, args.codebook, size, decoded);
  } else {
    codes::Decode<1>(from, args.codebook, size, decoded);
  }
  return decoded;
}

}  // namespace

template <Rounding kRounding>
void CodebookConv2D(const CodebookConv2DArgs& args, const Rows& rows, const int8_t* input,
                    int8_t* output, void* scratch) {
  ConvolvePacked<kRounding>(args.layer, {TileOf, &args}, rows, input, output, scratch);
}

template void CodebookConv2D<Rounding::kSingle>(const CodebookConv2DArgs&, const Rows&,
                                                const int8_t*, int8_t*, void*);
template void CodebookConv2D<Rounding::kDouble>(const CodebookConv2DArgs&, const Rows&,
                                                const int8_t*, int8_t*, void*);

}  // namespace micro
}  // namespace edgeax
