#pragma once  // arch/float_avx2.h: floats times packed weights on AVX2 with FMA and F16C.

#include "tflite_kernels/arch/float_x86.h"

namespace edgeax {
namespace {

struct FloatAvx2 : FloatX86 {
  struct Lanes {
    __m256 low, high;
  };
  struct Words {
    __m256i low, high;
  };
  static constexpr int32_t kOutputsOfRows = 1;

  static Lanes Zero() { return {_mm256_setzero_ps(), _mm256_setzero_ps()}; }
  static Lanes Load(const float* from) {
    return {_mm256_loadu_ps(from), _mm256_loadu_ps(from + 8)};
  }
  static Lanes Broadcast(float value) { return {_mm256_set1_ps(value), _mm256_set1_ps(value)}; }

  static Lanes MultiplyAdd(Lanes a, Lanes b, Lanes c) {
    return {_mm256_fmadd_ps(a.low, b.low, c.low), _mm256_fmadd_ps(a.high, b.high, c.high)};
  }

  static Lanes MultiplyAddFirst(Lanes a, Lanes b, Lanes c, int32_t count) {
    const Lanes sums = MultiplyAdd(a, b, c);
    const __m256i below = _mm256_set1_epi32(count);
    const __m256i numbers = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    const auto choose = [&](__m256 then, __m256 otherwise, __m256i number) {
      return _mm256_blendv_ps(otherwise, then,
                              _mm256_castsi256_ps(_mm256_cmpgt_epi32(below, number)));
    };
    const __m256i more = _mm256_add_epi32(numbers, _mm256_set1_epi32(8));
    return {choose(sums.low, c.low, numbers), choose(sums.high, c.high, more)};
  }

  static float Sum(Lanes sums) { return SumEight(_mm256_add_ps(sums.low, sums.high)); }

  static __m128i LoadFirstBytes(const uint8_t* from, int32_t bytes) {
    uint8_t block[kBlockBytes] = {};
    memcpy(block, from, static_cast<size_t>(bytes));
    return LoadBytes(block);
  }
  static Words Unsigned(__m128i bytes) {
    return {_mm256_cvtepu8_epi32(bytes), _mm256_cvtepu8_epi32(_mm_unpackhi_epi64(bytes, bytes))};
  }

  static Words Signed(__m128i bytes) {
    return {_mm256_cvtepi8_epi32(bytes), _mm256_cvtepi8_epi32(_mm_unpackhi_epi64(bytes, bytes))};
  }

  // Codes of 4, 2 or 1 bits. The table is by three bits at a time, of which the lowest are the
  // code; a second one is for codes of 4 bits from 8 on.
  template <int32_t kCodeBits>
  struct Table {
    static constexpr int32_t kBits = kCodeBits;
    using Block = Words;

    explicit Table(const float* codebook) {
      const FourBits<kBits> table(codebook);
      first = _mm256_load_ps(table.values);
      second = _mm256_load_ps(table.values + 8);
    }

    static Block BlockOf(__m128i bytes) { return Unsigned(bytes); }

    template <int32_t kStep>
    __m256 Values(__m256i block) const {
      const __m256i codes = _mm256_srli_epi32(block, kStep * kBits);
      const __m256 values = _mm256_permutevar8x32_ps(first, codes);
      if constexpr (kBits < 4) return values;
      const __m256 others = _mm256_permutevar8x32_ps(second, codes);
      return _mm256_blendv_ps(values, others, _mm256_castsi256_ps(_mm256_slli_epi32(codes, 28)));
    }

    template <int32_t kStep>
    Lanes Weights(Block block) const {
      return {Values<kStep>(block.low), Values<kStep>(block.high)};
    }

    __m256 first, second;
  };

  // Codes that are whole numbers of 8 bits.
  struct Integers {
    static constexpr int32_t kBits = 8;
    using Block = Words;

    static Block BlockOf(__m128i bytes) { return Signed(bytes); }

    template <int32_t>
    static Lanes Weights(Block block) {
      return {_mm256_cvtepi32_ps(block.low), _mm256_cvtepi32_ps(block.high)};
    }
  };

  // Codes that are short floats, see ShortFloats.
  struct Halves : ShortCodes {
    using ShortCodes::ShortCodes;

    template <int32_t>
    Lanes Weights(Block block) const {
      const __m256i top = TopOf(block);
      const __m256i is_zero = _mm256_cmpeq_epi16(top, _mm256_setzero_si256());
      const __m256i lifted = _mm256_add_epi16(Magnitude(top), _mm256_andnot_si256(is_zero, lift));
      const __m256i sign = _mm256_and_si256(block.codes, _mm256_set1_epi16(INT16_MIN));
      const __m256i halves = _mm256_or_si256(sign, lifted);
      return {_mm256_cvtph_ps(_mm256_castsi256_si128(halves)),
              _mm256_cvtph_ps(_mm256_extracti128_si256(halves, 1))};
    }
  };

  // Codes of 8 bits that stand for any floats.
  struct Lookup {
    static constexpr int32_t kBits = 8;
    using Block = Words;

    explicit Lookup(const float* codebook) : codebook(codebook) {}

    static Block BlockOf(__m128i bytes) { return Unsigned(bytes); }

    template <int32_t>
    Lanes Weights(Block block) const {
      return {_mm256_i32gather_ps(codebook, block.low, sizeof(float)),
              _mm256_i32gather_ps(codebook, block.high, sizeof(float))};
    }

    const float* codebook;
  };
};

}  // namespace
}  // namespace edgeax
