#include "tflite_kernels/arch/float_avx512.h"
#include "tflite_kernels/arch/kernels.h"
#include "tflite_kernels/arch/predicted_signs.h"

namespace edgeax {
namespace {

struct SignsAvx512 {
  struct Lanes {
    __m512i all;
  };
  static constexpr int32_t kStep = 64, kBias = 8, kTileRows = 4, kTileChannels = 4;
  static constexpr int32_t kStepsOf32 = 128;  // sums of int8 and int16 that 32 bits hold

  template <int32_t kRows, int32_t kChannels>
  static void Predict(const int8_t* const* codes, const int8_t* const* gradients,
                      const int32_t* blocks, int32_t count, int32_t* sums) {
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

  template <int32_t kChannels>
  static void Multiply(const int8_t* codes, const int16_t* const* gradients, int32_t steps,
                       int64_t* sums) {
    const int32_t wide = steps / 2;  // of 32 positions: chunks have multiples of 64
    for (int32_t first = 0; first < wide; first += kStepsOf32) {
      const int32_t end = wide - first < kStepsOf32 ? wide : first + kStepsOf32;
      Several<Lanes, kChannels> several;
      Repeat<kChannels>([&](auto c) { At<c.value>(several).all = _mm512_setzero_si512(); });
      for (int32_t step = first; step < end; ++step) {
        const size_t place = size_t(step) * 32;
        const __m512i row = _mm512_cvtepi8_epi16(
            _mm256_loadu_si256(reinterpret_cast<const __m256i*>(codes + place)));
        Repeat<kChannels>([&](auto c) {
          __m512i& sum = At<c.value>(several).all;
          sum = _mm512_dpwssd_epi32(sum, row, _mm512_loadu_si512(gradients[c.value] + place));
        });
      }
      Repeat<kChannels>([&](auto c) { sums[c.value] += Sum(At<c.value>(several).all); });
    }
  }

  static int64_t Sum(__m512i lanes) {
    return _mm512_reduce_add_epi64(
        _mm512_add_epi64(_mm512_cvtepi32_epi64(_mm512_castsi512_si256(lanes)),
                         _mm512_cvtepi32_epi64(_mm512_extracti64x4_epi64(lanes, 1))));
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
