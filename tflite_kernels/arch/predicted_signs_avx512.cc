#include "tflite_kernels/arch/avx512_intrinsics.h"
#include "tflite_kernels/arch/kernels.h"
#include "tflite_kernels/arch/predicted_signs.h"
#include "tflite_kernels/arch/turn_x86.h"

namespace edgeax {
namespace {

struct SignsAvx512 : TurnX86 {
  struct Lanes {
    __m512i all;
  };
  static constexpr int32_t kStep = 64, kBias = 128, kTileRows = 4, kTileChannels = 4;
  static constexpr bool kFearsLeast = false, kIsWide = true, kHasPairs = true;

  template <int32_t kRows, int32_t kChannels, Width>
  static void Dot(const int8_t* const* codes, const int8_t* const* gradients, const int32_t* blocks,
                  int32_t count, int32_t* sums) {
    Several<Lanes, kRows * kChannels> several;
    Repeat<kRows * kChannels>([&](auto i) { At<i.value>(several).all = _mm512_setzero_si512(); });
    for (int32_t step = 0; step < count; ++step) {
      const size_t place = size_t(blocks == nullptr ? step : blocks[step]) * kStep;
      Several<Lanes, kChannels> bytes;
      Repeat<kChannels>(
          [&](auto c) { At<c.value>(bytes).all = _mm512_loadu_si512(gradients[c.value] + place); });
      Repeat<kRows>([&](auto r) {
        const __m512i row = _mm512_loadu_si512(codes[r.value] + place);
        Repeat<kChannels>([&](auto c) {
          __m512i& sum = At<r.value * kChannels + c.value>(several).all;
          sum = _mm512_dpbusd_epi32(sum, row, At<c.value>(bytes).all);
        });
      });
    }
    Repeat<kRows * kChannels>(
        [&](auto i) { sums[i.value] = _mm512_reduce_add_epi32(At<i.value>(several).all); });
  }
};

}  // namespace

Status PredictedSignsAvx512(const PredictedSignsArgs& args, const SignTensors& tensors) {
  return PredictedSignsOn<SignsAvx512>(args, tensors);
}

Status PredictedSignsScratchBytesAvx512(const PredictedSignsArgs& args, size_t* bytes) {
  return PredictedSignsScratchBytesOn<SignsAvx512>(args, bytes);
}

}  // namespace edgeax
