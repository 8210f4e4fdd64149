#pragma once  // arch/finish_avx512.h: int32 sums to int8 codes on AVX-512.

#include "tflite_kernels/arch/avx512_intrinsics.h"
#include "tflite_kernels/arch/steps.h"

namespace edgeax {
namespace {

// Bias, scaling and rounding of 16 output channels, in 64-bit numbers: those of even channels and
// those of odd ones.
struct Scale16 {
  __m512i start;
  __m512i multiplier[2], rounding[2], right[2];

  // Channels from `count` on give 0. Returns whether `Scaled` serves all of them.
  bool Set(const int32_t* bias, const Requantization* factors, const int32_t* offsets,
           int32_t count) {
    const __mmask16 used = static_cast<__mmask16>(count >= 16 ? 0xFFFF : (1 << count) - 1);
    start = _mm512_add_epi32(_mm512_maskz_loadu_epi32(used, bias),
                             _mm512_maskz_loadu_epi32(used, offsets));
    // A factor is a multiplier in the low half of 64 bits and its shift in the high half.
    const __m512i low = _mm512_maskz_loadu_epi64(static_cast<__mmask8>(used), factors);
    const __m512i high = _mm512_maskz_loadu_epi64(static_cast<__mmask8>(used >> 8), factors + 8);
    const __m512i even = _mm512_setr_epi64(0, 2, 4, 6, 8, 10, 12, 14);
    multiplier[0] = _mm512_permutex2var_epi64(low, even, high);
    multiplier[1] =
        _mm512_permutex2var_epi64(low, _mm512_add_epi64(even, _mm512_set1_epi64(1)), high);
    const __m512i one = _mm512_set1_epi64(1);
    bool serves = true;
    for (int32_t i = 0; i < 2; ++i) {
      const __m512i shift = _mm512_srai_epi64(multiplier[i], 32);
      right[i] = _mm512_sub_epi64(_mm512_set1_epi64(31), shift);
      rounding[i] = _mm512_sllv_epi64(one, _mm512_sub_epi64(right[i], one));
      // A factor of one or more may leave int32: rare, and left to core/.
      serves = serves && _mm512_cmpgt_epi64_mask(shift, _mm512_setzero_si512()) == 0;
    }
    return serves;
  }

  __m512i Biased(const int32_t* sums) const {
    return _mm512_add_epi32(_mm512_loadu_si512(sums), start);
  }

  // floor(sum * factor + 1/2), for the even 32-bit lanes.
  __m512i ScaledHalf(__m512i sums, int32_t half) const {
    const __m512i product = _mm512_mul_epi32(sums, multiplier[half]);
    return _mm512_srav_epi64(_mm512_add_epi64(product, rounding[half]), right[half]);
  }

  // The same for 16 sums with their biases.
  __m512i Scaled(__m512i sums) const {
    const __m512i even = ScaledHalf(sums, 0);
    const __m512i odd = ScaledHalf(_mm512_srli_epi64(sums, 32), 1);
    return _mm512_mask_shuffle_epi32(even, 0xAAAA, odd, static_cast<_MM_PERM_ENUM>(0xA0));
  }
};

// What follows the sums of up to 32 output channels: bias, scaling, zero point, clamp.
struct FinishAvx512 {
  static constexpr int32_t kLanes = 32;

  // `offsets` are added to the bias; sums wrap around.
  FinishAvx512(const int32_t* bias, const Requantization* factors, const int32_t* offsets,
               int32_t count, const Quantization& quantization)
      : factors(factors),
        quantization(quantization),
        count(count),
        used(count >= kLanes ? ~__mmask32{0} : (__mmask32{1} << count) - 1) {
    const int32_t rest = count > 16 ? count - 16 : 0;
    const bool first_serves = first.Set(bias, factors, offsets, count);
    const bool second_serves = second.Set(bias + 16, factors + 16, offsets + 16, rest);
    in_vectors = quantization.rounding == Rounding::kSingle && first_serves && second_serves;
  }

  // sums int32 [32]; writes `count` codes.
  void Store(const int32_t* sums, int8_t* output) const {
    const __m512i low = first.Biased(sums), high = second.Biased(sums + 16);
    if (!in_vectors) return StoreOneByOne(low, high, output);
    // Every step saturates, so what is out of range stays at the right end of it.
    const __m512i words = _mm512_packs_epi32(first.Scaled(low), second.Scaled(high));
    const __m512i zero = _mm512_set1_epi16(static_cast<int16_t>(quantization.output_zero_point));
    const __m512i moved = _mm512_adds_epi16(words, zero);
    // packs works in quarters: every 4 channels of the first 16 have 4 of the second beside them.
    const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 0, 0, 0, 0, 0, 0, 0, 0);
    const __m256i bytes =
        _mm512_castsi512_si256(_mm512_permutexvar_epi32(order, _mm512_packs_epi16(moved, moved)));
    const __m256i lowest = _mm256_set1_epi8(static_cast<char>(quantization.output_min));
    const __m256i highest = _mm256_set1_epi8(static_cast<char>(quantization.output_max));
    const __m256i codes = _mm256_min_epi8(_mm256_max_epi8(bytes, lowest), highest);
    if (count == kLanes) {
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(output), codes);
    } else {
      _mm256_mask_storeu_epi8(output, used, codes);
    }
  }

 private:
  void StoreOneByOne(__m512i low, __m512i high, int8_t* output) const {
    int32_t sums[kLanes];
    _mm512_storeu_si512(sums, low);
    _mm512_storeu_si512(sums + 16, high);
    for (int32_t i = 0; i < count; ++i) {
      output[i] = OutputCode(static_cast<uint32_t>(sums[i]), factors[i], quantization);
    }
  }

  Scale16 first, second;
  const Requantization* factors;
  Quantization quantization;
  int32_t count;
  __mmask32 used;
  bool in_vectors;
};

}  // namespace
}  // namespace edgeax
