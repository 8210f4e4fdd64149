#include "tflite_kernels/micro/ternary_conv2d.h"

#include "tflite_kernels/micro/ternary_portable.h"

#if defined(EDGEAX_MICRO_PORTABLE)
namespace set = edgeax::micro::portable;
#elif defined(__ARM_FEATURE_MVE) && (__ARM_FEATURE_MVE & 1)
#include "tflite_kernels/micro/ternary_helium.h"
namespace set = edgeax::micro::helium;
#else
namespace set = edgeax::micro::portable;
#endif

namespace edgeax {
namespace micro {
namespace {

const int8_t* TileOf(const void* source, int32_t tile, int8_t*) {
  const TernaryConv2DArgs& args = *static_cast<const TernaryConv2DArgs*>(source);
  const ConvolutionPlan& plan = args.layer.plan;
  return args.digits + tile * (plan.runs * DigitBytes(plan.run_bytes));
}

}  // namespace

template <Rounding kRounding>
void TernaryConv2D(const TernaryConv2DArgs& args, const Rows& rows, const int8_t* input,
                   int8_t* output, void* scratch) {
  ConvolvePacked<kRounding>(args.layer, {TileOf, &args}, rows, input, output, scratch,
                            set::RunTernary<kRounding>);
}

template void TernaryConv2D<Rounding::kSingle>(const TernaryConv2DArgs&, const Rows&, const int8_t*,
                                               int8_t*, void*);
template void TernaryConv2D<Rounding::kDouble>(const TernaryConv2DArgs&, const Rows&, const int8_t*,
                                               int8_t*, void*);

}  // namespace micro
}  // namespace edgeax
