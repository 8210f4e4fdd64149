#include "tflite_kernels/micro/sparse_conv2d.h"

#if defined(EDGEAX_MICRO_PORTABLE)
#include "tflite_kernels/micro/sparse_portable.h"
namespace set = edgeax::micro::portable;
#elif defined(__ARM_FEATURE_MVE) && (__ARM_FEATURE_MVE & 1)
#include "tflite_kernels/micro/sparse_helium.h"
namespace set = edgeax::micro::helium;
#elif defined(__ARM_FEATURE_DSP)
#include "tflite_kernels/micro/sparse_dsp.h"
namespace set = edgeax::micro::dsp;
#else
#include "tflite_kernels/micro/sparse_portable.h"
namespace set = edgeax::micro::portable;
#endif

namespace edgeax {
namespace micro {
namespace {

// Writes the places of blocks, in images and, `copied` elements behind, in copied patches. `jump`:
// bytes more for each run that lies before them.
void ListPlaces(const SparseConv2DArgs& args, const uint8_t* mask, int32_t jump, int32_t copied,
                int16_t* to) {
  const int32_t run_bytes = args.layer.plan.run_bytes;
  int32_t jumped = 0, run_end = run_bytes;
  for (int32_t first = 0; first < args.tile_mask_bytes; ++first) {
    for (uint32_t bits = mask[first]; bits != 0; bits &= bits - 1) {
      const int32_t place = 32 * first + 4 * __builtin_ctz(bits);
      for (; place >= run_end; run_end += run_bytes) jumped += jump;
      to[copied] = static_cast<int16_t>(place);
      *to++ = static_cast<int16_t>(place + jumped);
    }
  }
  to[0] = to[copied] = -1;
}

const int8_t* TileOf(const void* source, int32_t tile, int8_t* room) {
  const SparseConv2DArgs& args = *static_cast<const SparseConv2DArgs*>(source);
  const ConvolutionShape& shape = args.layer.shape;
  const ConvolutionPlan& plan = args.layer.plan;
  const uint8_t* mask = args.masks + tile * args.tile_mask_bytes;
  const int32_t start = args.starts[tile], count = args.starts[tile + 1] - start;
  const int8_t* blocks = args.blocks + start * 16;
  *reinterpret_cast<int32_t*>(room) = count;
  int16_t* places = reinterpret_cast<int16_t*>(room + kCountBytes);
  const int32_t run_step = shape.dilation_height * shape.input_width * shape.input_channels;
  const bool has_runs = plan.runs > 1;
  ListPlaces(args, mask, has_runs ? run_step - plan.run_bytes : 0,
             has_runs ? ListBytes(args) / 2 : 0, places);
  set::PrepareBlocks(args, blocks, count, room);
  return blocks;
}

template <Rounding kRounding>
void RunSparseSweep(const Sweep& sweep, const TilePlan& plan) {
  set::RunSparse<kRounding>(*static_cast<const SparseConv2DArgs*>(sweep.source), sweep, plan);
}

}  // namespace

template <Rounding kRounding>
void SparseConv2D(const SparseConv2DArgs& args, const Rows& rows, const int8_t* input,
                  int8_t* output, void* scratch) {
  ConvolvePacked<kRounding>(args.layer, {TileOf, &args}, rows, input, output, scratch,
                            RunSparseSweep<kRounding>);
}

template void SparseConv2D<Rounding::kSingle>(const SparseConv2DArgs&, const Rows&, const int8_t*,
                                              int8_t*, void*);
template void SparseConv2D<Rounding::kDouble>(const SparseConv2DArgs&, const Rows&, const int8_t*,
                                              int8_t*, void*);

}  // namespace micro
}  // namespace edgeax
