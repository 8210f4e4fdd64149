#pragma once  // arch/float_avx512.h: floats times packed weights on AVX-512.

#include "tflite_kernels/arch/avx512_intrinsics.h"
#include "tflite_kernels/arch/float_x86.h"

namespace edgeax {
namespace {

struct FloatAvx512 : FloatX86 {
  struct Lanes {
    __m512 all;
  };
  struct Words {
    __m512i all;
  };
  static constexpr int32_t kOutputsOfRows = 2;

  static Lanes Zero() { return {_mm512_setzero_ps()}; }
  static Lanes Load(const float* from) { return {_mm512_loadu_ps(from)}; }
  static Lanes Broadcast(float value) { return {_mm512_set1_ps(value)}; }
  static Lanes MultiplyAdd(Lanes a, Lanes b, Lanes c) {
    return {_mm512_fmadd_ps(a.all, b.all, c.all)};
  }

  static Lanes MultiplyAddFirst(Lanes a, Lanes b, Lanes c, int32_t count) {
    return {_mm512_mask3_fmadd_ps(a.all, b.all, c.all, FirstLanes(count))};
  }

  static float Sum(Lanes sums) {
    return SumEight(
        _mm256_add_ps(_mm512_castps512_ps256(sums.all), _mm512_extractf32x8_ps(sums.all, 1)));
  }

  static __mmask16 FirstLanes(int32_t count) { return static_cast<__mmask16>((1u << count) - 1); }

  static __m128i LoadFirstBytes(const uint8_t* from, int32_t bytes) {
    return _mm_maskz_loadu_epi8(FirstLanes(bytes), from);
  }

  // Codes of 4, 2 or 1 bits. The table is by four bits at a time, of which the lowest are the code.
  template <int32_t kCodeBits>
  struct Table {
    static constexpr int32_t kBits = kCodeBits;
    using Block = Words;

    explicit Table(const float* codebook)
        : table(_mm512_load_ps(FourBits<kBits>(codebook).values)) {}

    static Block BlockOf(__m128i bytes) { return {_mm512_cvtepu8_epi32(bytes)}; }

    template <int32_t kStep>
    Lanes Weights(Block block) const {
      return {_mm512_permutexvar_ps(_mm512_srli_epi32(block.all, kStep * kBits), table)};
    }

    __m512 table;
  };

  // Codes that are whole numbers of 8 bits.
  struct Integers {
    static constexpr int32_t kBits = 8;
    using Block = Words;

    static Block BlockOf(__m128i bytes) { return {_mm512_cvtepi8_epi32(bytes)}; }

    template <int32_t>
    static Lanes Weights(Block block) {
      return {_mm512_cvtepi32_ps(block.all)};
    }
  };

  // Codes that are short floats, see ShortFloats.
  struct Halves : ShortCodes {
    using ShortCodes::ShortCodes;

    template <int32_t>
    Lanes Weights(Block block) const {
      const __m256i top = TopOf(block), magnitude = Magnitude(top);
      const __m256i lifted =
          _mm256_mask_add_epi16(magnitude, _mm256_test_epi16_mask(top, top), magnitude, lift);
      const __m256i sign = _mm256_set1_epi16(INT16_MIN);
      return {_mm512_cvtph_ps(
          _mm256_ternarylogic_epi32(block.codes, sign, lifted, kFirstAndSecondOrThird))};
    }

    static constexpr int kFirstAndSecondOrThird = 0xEA;
  };

  // Codes of 8 bits that stand for any floats.
  struct Lookup {
    static constexpr int32_t kBits = 8;
    using Block = Words;

    explicit Lookup(const float* codebook) : codebook(codebook) {}

    static Block BlockOf(__m128i bytes) { return {_mm512_cvtepu8_epi32(bytes)}; }

    template <int32_t>
    Lanes Weights(Block block) const {
      return {_mm512_i32gather_ps(block.all, codebook, sizeof(float))};
    }

    const float* codebook;
  };
};

}  // namespace
}  // namespace edgeax
