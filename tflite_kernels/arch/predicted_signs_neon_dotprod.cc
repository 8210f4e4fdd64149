#include "tflite_kernels/arch/dotprod.h"
#include "tflite_kernels/arch/kernels.h"
#include "tflite_kernels/arch/signs_neon.h"

namespace edgeax {
namespace {

struct SignsNeonDotprod : SignsNeon {
  static constexpr int32_t kStep = 32, kTileChannels = 4;
  static constexpr bool kFearsLeast = false, kHasPairs = true;

  template <int32_t kRows, int32_t kChannels, Width>
  EDGEAX_DOTPROD static void Dot(const int8_t* const* codes, const int8_t* const* gradients,
                                 const int32_t* blocks, int32_t count, int32_t* sums) {
    int32x4_t several[kRows][kChannels];
    for (auto& row : several) {
      for (int32x4_t& sum : row) sum = vdupq_n_s32(0);
    }
    for (int32_t step = 0; step < count; ++step) {
      const size_t place = size_t(blocks == nullptr ? step : blocks[step]) * kStep;
      for (int32_t part = 0; part < kStep / 16; ++part) {
        int8x16_t bytes[kChannels];
        for (int32_t c = 0; c < kChannels; ++c)
          bytes[c] = vld1q_s8(gradients[c] + place + 16 * part);
        for (int32_t r = 0; r < kRows; ++r) {
          const int8x16_t row = vld1q_s8(codes[r] + place + 16 * part);
          for (int32_t c = 0; c < kChannels; ++c) {
            several[r][c] = vdotq_s32(several[r][c], row, bytes[c]);
          }
        }
      }
    }
    for (int32_t r = 0; r < kRows; ++r) {
      if constexpr (kChannels == 4) {
        vst1q_s32(sums + 4 * r, vpaddq_s32(vpaddq_s32(several[r][0], several[r][1]),
                                           vpaddq_s32(several[r][2], several[r][3])));
      } else {
        for (int32_t c = 0; c < kChannels; ++c) {
          sums[r * kChannels + c] = vaddvq_s32(several[r][c]);
        }
      }
    }
  }
};

}  // namespace

Status PredictedSignsNeonDotprod(const PredictedSignsArgs& args, const SignTensors& tensors) {
  return PredictedSignsOn<SignsNeonDotprod>(args, tensors);
}

Status PredictedSignsScratchBytesNeonDotprod(const PredictedSignsArgs& args, size_t* bytes) {
  return PredictedSignsScratchBytesOn<SignsNeonDotprod>(args, bytes);
}

}  // namespace edgeax
