#include "tflite_kernels/arch/dotprod.h"
#include "tflite_kernels/arch/kernels.h"
#include "tflite_kernels/arch/signs_neon.h"

namespace edgeax {
namespace {

struct SignsNeonDotprod : SignsNeon {
  static constexpr int32_t kTileChannels = 4;

  template <int32_t kRows, int32_t kChannels>
  EDGEAX_DOTPROD static void Predict(const int8_t* const* codes, const int8_t* const* gradients,
                                     const int32_t* blocks, int32_t count, int32_t* sums) {
    int32x4_t several[kRows][kChannels];
    for (auto& row : several) {
      for (int32x4_t& sum : row) sum = vdupq_n_s32(0);
    }
    for (int32_t step = 0; step < count; ++step) {
      const size_t place = size_t(blocks == nullptr ? step : blocks[step]) * kStep;
      int8x16_t bytes[kChannels];
      for (int32_t c = 0; c < kChannels; ++c) bytes[c] = vld1q_s8(gradients[c] + place);
      for (int32_t r = 0; r < kRows; ++r) {
        const int8x16_t row = vld1q_s8(codes[r] + place);
        for (int32_t c = 0; c < kChannels; ++c) {
          several[r][c] = vdotq_s32(several[r][c], row, bytes[c]);
        }
      }
    }
    for (int32_t r = 0; r < kRows; ++r) {
      for (int32_t c = 0; c < kChannels; ++c) sums[r * kChannels + c] = vaddvq_s32(several[r][c]);
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
