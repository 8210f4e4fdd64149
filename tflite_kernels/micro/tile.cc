#include "tflite_kernels/micro/tile.h"

#include "tflite_kernels/micro/tile_portable.h"

#if defined(EDGEAX_MICRO_PORTABLE)
#elif defined(__ARM_FEATURE_MVE) && (__ARM_FEATURE_MVE & 1)
#define EDGEAX_MICRO_HELIUM
#include "tflite_kernels/micro/tile_helium.h"
#elif defined(__ARM_FEATURE_DSP)
#define EDGEAX_MICRO_DSP
#include "tflite_kernels/micro/tile_dsp.h"
#endif

namespace edgeax {
namespace micro {

template <Rounding kRounding>
void PrepareTile(const TilePlan& plan, int32_t patch_bytes, const int8_t* weights, uint8_t* tile) {
#if defined(EDGEAX_MICRO_DSP)
  if (plan.is_expanded != 0) return dsp::Expand(plan, kRounding, patch_bytes, weights, tile);
#endif
  static_cast<void>(plan);
  static_cast<void>(patch_bytes);
  reinterpret_cast<TileHead*>(tile)->weights = weights;
}

template <Rounding kRounding>
void RunSweep(const Sweep& sweep, const TilePlan& plan) {
#if defined(EDGEAX_MICRO_HELIUM)
  if (plan.is_quick == 0) return portable::RunSweep<kRounding>(sweep, plan, portable::AddRun);
  return helium::RunSweep<kRounding>(sweep, plan);
#elif defined(EDGEAX_MICRO_DSP)
  if (plan.is_expanded != 0) return dsp::RunSweep<kRounding>(sweep, plan);
  portable::RunSweep<kRounding>(sweep, plan, dsp::AddRun);
#else
  portable::RunSweep<kRounding>(sweep, plan, portable::AddRun);
#endif
}

template void PrepareTile<Rounding::kSingle>(const TilePlan&, int32_t, const int8_t*, uint8_t*);
template void PrepareTile<Rounding::kDouble>(const TilePlan&, int32_t, const int8_t*, uint8_t*);
template void RunSweep<Rounding::kSingle>(const Sweep&, const TilePlan&);
template void RunSweep<Rounding::kDouble>(const Sweep&, const TilePlan&);

}  // namespace micro
}  // namespace edgeax
