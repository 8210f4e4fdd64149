#pragma once  // arch/float_avx512.h: floats times packed weights on AVX-512.

#include "tflite_kernels/arch/avx512_intrinsics.h"
#include "tflite_kernels/arch/float_codebook.h"
#include "tflite_kernels/arch/float_matmul.h"

namespace edgeax {
namespace {

struct FloatAvx512 {
  struct Lanes {
    __m512 all;
  };
  struct Words {
    __m512i all;
  };
  struct ShortWords {
    __m256i all;
  };
  static constexpr int32_t kRows = 4;
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
    const __m256 eight =
        _mm256_add_ps(_mm512_castps512_ps256(sums.all), _mm512_extractf32x8_ps(sums.all, 1));
    const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
  }

  static __mmask16 FirstLanes(int32_t count) {
    return static_cast<__mmask16>((1u << (count < 0 ? 0 : count)) - 1);
  }

  static __m128i LoadBytes(const uint8_t* from) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
  }
  static __m128i LoadFirstBytes(const uint8_t* from, int32_t bytes) {
    return _mm_maskz_loadu_epi8(FirstLanes(bytes), from);
  }

  // Codes of 4, 2 or 1 bits. The table is by four bits at a time, of which the lowest are the code.
  template <int32_t kCodeBits>
  struct Table {
    static constexpr int32_t kBits = kCodeBits;
    using Block = Words;

    explicit Table(const float* codebook) {
      alignas(64) float values[16];
      for (int32_t i = 0; i < 16; ++i) values[i] = codebook[i & ((1 << kBits) - 1)];
      table = _mm512_load_ps(values);
    }

    static Block Load(const uint8_t* from) { return {_mm512_cvtepu8_epi32(LoadBytes(from))}; }
    static Block LoadFirst(const uint8_t* from, int32_t bytes) {
      return {_mm512_cvtepu8_epi32(LoadFirstBytes(from, bytes))};
    }

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

    static Block Load(const uint8_t* from) { return {_mm512_cvtepi8_epi32(LoadBytes(from))}; }
    static Block LoadFirst(const uint8_t* from, int32_t bytes) {
      return {_mm512_cvtepi8_epi32(LoadFirstBytes(from, bytes))};
    }

    template <int32_t>
    static Lanes Weights(Block block) {
      return {_mm512_cvtepi32_ps(block.all)};
    }
  };

  // Codes that are short floats, see ShortFloats.
  struct Halves {
    static constexpr int32_t kBits = 8;
    using Block = ShortWords;

    explicit Halves(const ShortFloats& floats)
        : factor(_mm256_set1_epi16(static_cast<int16_t>(1 << (10 + floats.exponent_bits)))),
          lift(_mm256_set1_epi16(floats.has_subnormals ? 0 : 1 << 10)) {}

    static Block Load(const uint8_t* from) { return {_mm256_cvtepi8_epi16(LoadBytes(from))}; }
    static Block LoadFirst(const uint8_t* from, int32_t bytes) {
      return {_mm256_cvtepi8_epi16(LoadFirstBytes(from, bytes))};
    }

    template <int32_t>
    Lanes Weights(Block block) const {
      const __m256i top = _mm256_slli_epi16(block.all, 9);
      const __m256i magnitude = _mm256_mulhi_epu16(top, factor);
      const __m256i lifted =
          _mm256_mask_add_epi16(magnitude, _mm256_test_epi16_mask(top, top), magnitude, lift);
      const __m256i sign = _mm256_set1_epi16(INT16_MIN);
      return {_mm512_cvtph_ps(
          _mm256_ternarylogic_epi32(block.all, sign, lifted, kFirstAndSecondOrThird))};
    }

    static constexpr int kFirstAndSecondOrThird = 0xEA;
    __m256i factor, lift;
  };

  // Codes of 8 bits that stand for any floats.
  struct Lookup {
    static constexpr int32_t kBits = 8;
    using Block = Words;

    explicit Lookup(const float* codebook) : codebook(codebook) {}

    static Block Load(const uint8_t* from) { return {_mm512_cvtepu8_epi32(LoadBytes(from))}; }
    static Block LoadFirst(const uint8_t* from, int32_t bytes) {
      return {_mm512_cvtepu8_epi32(LoadFirstBytes(from, bytes))};
    }

    template <int32_t>
    Lanes Weights(Block block) const {
      return {_mm512_i32gather_ps(block.all, codebook, sizeof(float))};
    }

    const float* codebook;
  };
};

}  // namespace
}  // namespace edgeax
