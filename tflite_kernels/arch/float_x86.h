#pragma once  // arch/float_x86.h: floats times packed weights, what AVX2 and AVX-512 share.

#include <immintrin.h>

#include "tflite_kernels/arch/float_codebook.h"
#include "tflite_kernels/arch/float_matmul.h"

namespace edgeax {
namespace {

struct FloatX86 {
  static constexpr int32_t kRows = 4;

  static __m128i LoadBytes(const uint8_t* from) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
  }

  static float SumEight(__m256 eight) {
    const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
  }

  // What four bits stand for of which the lowest are a code of `kBits`.
  template <int32_t kBits>
  struct FourBits {
    explicit FourBits(const float* codebook) {
      for (int32_t i = 0; i < 16; ++i) values[i] = codebook[i & ((1 << kBits) - 1)];
    }

    alignas(64) float values[16];
  };

  // Codes of 8 bits that are short floats, see ShortFloats: half precision is `factor` times their
  // magnitude and, but for zero, `lift`.
  struct ShortCodes {
    static constexpr int32_t kBits = 8;
    struct Block {
      __m256i codes;
    };

    explicit ShortCodes(const ShortFloats& floats)
        : factor(_mm256_set1_epi16(static_cast<int16_t>(1 << (10 + floats.exponent_bits)))),
          lift(_mm256_set1_epi16(floats.has_subnormals ? 0 : 1 << 10)) {}

    static Block BlockOf(__m128i bytes) { return {_mm256_cvtepi8_epi16(bytes)}; }

    // All but the sign, in the highest bits.
    static __m256i TopOf(Block block) { return _mm256_slli_epi16(block.codes, 9); }

    __m256i Magnitude(__m256i top) const { return _mm256_mulhi_epu16(top, factor); }

    __m256i factor, lift;
  };
};

}  // namespace
}  // namespace edgeax
