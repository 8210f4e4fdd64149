#include "tflite_kernels/arch/kernels.h"
#include "tflite_kernels/arch/predicted_signs.h"
#include "tflite_kernels/arch/turn_x86.h"

namespace edgeax {
namespace {

struct SignsAvx2 : TurnX86 {
  struct Lanes {
    __m256i all;
  };
  static constexpr int32_t kStep = 32, kBias = 8, kTileRows = 4, kTileChannels = 2;
  static constexpr bool kFearsLeast = false, kIsWide = false, kHasPairs = false;
  // Sums of two products, of 15 and 128 at most, that 16 bits hold; and of int8 and int16 in 32.
  static constexpr int32_t kStepsOf16 = 8, kStepsOf32 = 128;

  template <int32_t kRows, int32_t kChannels, Width>
  static void Dot(const int8_t* const* codes, const int8_t* const* gradients, const int32_t* blocks,
                  int32_t count, int32_t* sums) {
    __m256i totals[kRows * kChannels];
    for (__m256i& total : totals) total = _mm256_setzero_si256();
    const __m256i ones = _mm256_set1_epi16(1);
    for (int32_t first = 0; first < count; first += kStepsOf16) {
      const int32_t end = count - first < kStepsOf16 ? count : first + kStepsOf16;
      Several<Lanes, kRows * kChannels> several;
      Repeat<kRows * kChannels>([&](auto i) { At<i.value>(several).all = _mm256_setzero_si256(); });
      for (int32_t step = first; step < end; ++step) {
        const size_t place = size_t(blocks == nullptr ? step : blocks[step]) * kStep;
        Several<Lanes, kChannels> bytes;
        Repeat<kChannels>(
            [&](auto c) { At<c.value>(bytes).all = Load(gradients[c.value] + place); });
        Repeat<kRows>([&](auto r) {
          const __m256i row = Load(codes[r.value] + place);
          Repeat<kChannels>([&](auto c) {
            __m256i& sum = At<r.value * kChannels + c.value>(several).all;
            sum = _mm256_add_epi16(sum, _mm256_maddubs_epi16(row, At<c.value>(bytes).all));
          });
        });
      }
      Repeat<kRows * kChannels>([&](auto i) {
        totals[i.value] =
            _mm256_add_epi32(totals[i.value], _mm256_madd_epi16(At<i.value>(several).all, ones));
      });
    }
    for (int32_t i = 0; i < kRows * kChannels; ++i) sums[i] = static_cast<int32_t>(Sum(totals[i]));
  }

  template <int32_t kChannels>
  static void Multiply(const int8_t* codes, const int16_t* const* gradients, int32_t steps,
                       int64_t* sums) {
    for (int32_t first = 0; first < steps; first += kStepsOf32) {
      const int32_t end = steps - first < kStepsOf32 ? steps : first + kStepsOf32;
      Several<Lanes, kChannels> several;
      Repeat<kChannels>([&](auto c) { At<c.value>(several).all = _mm256_setzero_si256(); });
      for (int32_t step = first; step < end; ++step) {
        const size_t place = size_t(step) * 16;
        const __m256i row =
            _mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(codes + place)));
        Repeat<kChannels>([&](auto c) {
          __m256i& sum = At<c.value>(several).all;
          sum = _mm256_add_epi32(sum, _mm256_madd_epi16(row, Load(gradients[c.value] + place)));
        });
      }
      Repeat<kChannels>([&](auto c) { sums[c.value] += Sum(At<c.value>(several).all); });
    }
  }

  static __m256i Load(const void* from) {
    return _mm256_loadu_si256(static_cast<const __m256i*>(from));
  }
  static int64_t Sum(__m256i lanes) {
    const __m256i wide =
        _mm256_add_epi64(_mm256_cvtepi32_epi64(_mm256_castsi256_si128(lanes)),
                         _mm256_cvtepi32_epi64(_mm256_extracti128_si256(lanes, 1)));
    const __m128i two =
        _mm_add_epi64(_mm256_castsi256_si128(wide), _mm256_extracti128_si256(wide, 1));
    return _mm_cvtsi128_si64(two) + _mm_extract_epi64(two, 1);
  }
};

}  // namespace

Status PredictedSignsAvx2(const PredictedSignsArgs& args, const SignTensors& tensors) {
  return PredictedSignsOn<SignsAvx2>(args, tensors);
}

Status PredictedSignsScratchBytesAvx2(const PredictedSignsArgs& args, size_t* bytes) {
  return PredictedSignsScratchBytesOn<SignsAvx2>(args, bytes);
}

}  // namespace edgeax
