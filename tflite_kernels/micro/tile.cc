#include "tflite_kernels/micro/tile.h"

#include "tflite_kernels/micro/tile_portable.h"

#if defined(EDGEAX_MICRO_PORTABLE)
namespace set = edgeax::micro::portable;
#elif defined(__ARM_FEATURE_MVE) && (__ARM_FEATURE_MVE & 1)
#include "tflite_kernels/micro/tile_helium.h"
namespace set = edgeax::micro::helium;
#elif defined(__ARM_FEATURE_DSP)
#include "tflite_kernels/micro/tile_dsp.h"
namespace set = edgeax::micro::dsp;
#else
namespace set = edgeax::micro::portable;
#endif

namespace edgeax {
namespace micro {

template <Rounding kRounding>
void PrepareTile(const TilePlan& plan, const Factors& factors, const int32_t* bias, int32_t channel,
                 int32_t patch_bytes, const int8_t* weights, uint8_t* tile) {
  TileHead head;
  for (int32_t i = 0; i < kTileChannels; ++i) {
    const Requantization factor = FactorOf(factors, (channel + i) * plan.factor_step);
    head.bias[i] = bias[channel + i];
    head.multiplier[i] = factor.multiplier;
    head.offset[i] = 0;
    head.shift[i] = factor.shift;
  }
  head.weights = weights;
  set::FinishTile<kRounding>(plan, patch_bytes, &head, tile);
}

template <Rounding kRounding>
void RunSweep(const Sweep& sweep, const TilePlan& plan) {
  set::RunSweep<kRounding>(sweep, plan);
}

template void PrepareTile<Rounding::kSingle>(const TilePlan&, const Factors&, const int32_t*,
                                             int32_t, int32_t, const int8_t*, uint8_t*);
template void PrepareTile<Rounding::kDouble>(const TilePlan&, const Factors&, const int32_t*,
                                             int32_t, int32_t, const int8_t*, uint8_t*);
template void RunSweep<Rounding::kSingle>(const Sweep&, const TilePlan&);
template void RunSweep<Rounding::kDouble>(const Sweep&, const TilePlan&);

}  // namespace micro
}  // namespace edgeax
