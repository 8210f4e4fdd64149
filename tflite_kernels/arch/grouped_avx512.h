#pragma once  // arch/grouped_avx512.h: the steps of arch/grouped_matmul.h on AVX-512 with VNNI.

#include "tflite_kernels/arch/avx512.h"
#include "tflite_kernels/arch/grouped_matmul.h"

namespace edgeax {
namespace {

struct GroupedAvx512 : Avx512 {
  static __m128i LoadQuarter(const void* from) {
    return _mm_loadu_si128(static_cast<const __m128i*>(from));
  }

  static void StoreQuarter(int8_t* to, __m128i weights) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), weights);
  }

  // The nibbles of 8 or 16 bytes, each in a byte, in their order.
  static __m128i Nibbles8(__m128i bytes) {
    const __m128i wide = _mm_cvtepu8_epi16(bytes);
    return _mm_ternarylogic_epi32(wide, _mm_slli_epi16(wide, 4), _mm_set1_epi8(15),
                                  kEitherAndThird);
  }
  static __m256i Nibbles16(__m128i bytes) {
    const __m256i wide = _mm256_cvtepu8_epi16(bytes);
    return _mm256_ternarylogic_epi32(wide, _mm256_slli_epi16(wide, 4), _mm256_set1_epi8(15),
                                     kEitherAndThird);
  }

  // 16 weights from 2 * kBits bytes.
  template <int32_t kBits>
  static void Decode16(const uint8_t* bytes, const int8_t* table, int8_t* to) {
    if (kBits == 4) {
      const __m128i codes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(bytes));
      return StoreQuarter(to, _mm_shuffle_epi8(LoadQuarter(table), Nibbles8(codes)));
    }
    const __m128i nibbles = Nibbles8(_mm_cvtsi32_si128(LoadNumber<int32_t>(bytes)));
    StoreQuarter(to, _mm_unpacklo_epi8(_mm_shuffle_epi8(LoadQuarter(table), nibbles),
                                       _mm_shuffle_epi8(LoadQuarter(table + 16), nibbles)));
  }

  // 32 weights from 4 * kBits bytes.
  template <int32_t kBits>
  static void Decode32(const uint8_t* bytes, const int8_t* table, int8_t* to) {
    if (kBits == 4) {
      const __m256i both = _mm256_broadcastsi128_si256(LoadQuarter(table));
      const __m256i weights = _mm256_shuffle_epi8(both, Nibbles16(LoadQuarter(bytes)));
      return _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), weights);
    }
    const __m128i codes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(bytes));
    const __m128i nibbles = Nibbles8(codes);
    const __m128i first = _mm_shuffle_epi8(LoadQuarter(table), nibbles);
    const __m128i second = _mm_shuffle_epi8(LoadQuarter(table + 16), nibbles);
    StoreQuarter(to, _mm_unpacklo_epi8(first, second));
    StoreQuarter(to + 16, _mm_unpackhi_epi8(first, second));
  }

  // A row of `padded_depth` numbers, zero point taken off, times as many weights.
  static int32_t DotDense(const Left* row, const int8_t* weights, int32_t padded_depth,
                          const Quantization& quantization) {
    const __m512i ones = _mm512_set1_epi8(1);
    __m512i products = _mm512_setzero_si512(), sums = products;
    for (int32_t k = 0; k < padded_depth; k += 64) {
      const __mmask64 some = FirstBytes(padded_depth - k);
      const __m512i w = _mm512_maskz_loadu_epi8(some, weights + k);
      products = _mm512_dpbusd_epi32(products, _mm512_maskz_loadu_epi8(some, row + k), w);
      sums = _mm512_dpbusd_epi32(sums, ones, w);
    }
    return _mm512_reduce_add_epi32(_mm512_add_epi32(products, OffsetsOf(sums, quantization)));
  }
};

}  // namespace
}  // namespace edgeax
