#pragma once  // arch/grouped_avx2.h: the steps of arch/grouped_matmul.h on AVX2.

#include "tflite_kernels/arch/avx2.h"
#include "tflite_kernels/arch/grouped_matmul.h"

namespace edgeax {
namespace {

struct GroupedAvx2 : Avx2 {
  static __m128i LoadHalf(const void* from) {
    return _mm_loadu_si128(static_cast<const __m128i*>(from));
  }

  static void StoreHalf(int8_t* to, __m128i weights) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), weights);
  }

  // The nibbles of 8 bytes in their order.
  static __m128i FirstNibbles(__m128i bytes) {
    const __m128i nibble = _mm_set1_epi8(15);
    return _mm_unpacklo_epi8(_mm_and_si128(bytes, nibble),
                             _mm_and_si128(_mm_srli_epi16(bytes, 4), nibble));
  }

  // 16 weights from 2 * kBits bytes.
  template <int32_t kBits>
  static void Decode16(const uint8_t* bytes, const int8_t* table, int8_t* to) {
    if (kBits == 4) {
      const __m128i codes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(bytes));
      return StoreHalf(to, _mm_shuffle_epi8(LoadHalf(table), FirstNibbles(codes)));
    }
    const __m128i nibbles = FirstNibbles(_mm_cvtsi32_si128(LoadNumber<int32_t>(bytes)));
    StoreHalf(to, _mm_unpacklo_epi8(_mm_shuffle_epi8(LoadHalf(table), nibbles),
                                    _mm_shuffle_epi8(LoadHalf(table + 16), nibbles)));
  }

  // 32 weights from 4 * kBits bytes.
  template <int32_t kBits>
  static void Decode32(const uint8_t* bytes, const int8_t* table, int8_t* to) {
    if (kBits == 4) {
      const __m128i first = LoadHalf(table), codes = LoadHalf(bytes);
      const __m128i nibbles = FirstNibbles(codes);
      const __m128i more = FirstNibbles(_mm_unpackhi_epi64(codes, codes));
      StoreHalf(to, _mm_shuffle_epi8(first, nibbles));
      return StoreHalf(to + 16, _mm_shuffle_epi8(first, more));
    }
    const __m128i codes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(bytes));
    const __m128i nibbles = FirstNibbles(codes);
    const __m128i first = _mm_shuffle_epi8(LoadHalf(table), nibbles);
    const __m128i second = _mm_shuffle_epi8(LoadHalf(table + 16), nibbles);
    StoreHalf(to, _mm_unpacklo_epi8(first, second));
    StoreHalf(to + 16, _mm_unpackhi_epi8(first, second));
  }

  // A row of `padded_depth` numbers times as many weights.
  static int32_t DotDense(const Left* row, const int8_t* weights, int32_t padded_depth,
                          const Quantization&) {
    const auto products = [&](int32_t k) {
      return _mm256_madd_epi16(_mm256_cvtepi8_epi16(LoadHalf(weights + k)), LoadWide(row + k));
    };
    __m256i even = _mm256_setzero_si256(), odd = even;
    int32_t k = 0;
    for (; k + 32 <= padded_depth; k += 32) {
      even = _mm256_add_epi32(even, products(k));
      odd = _mm256_add_epi32(odd, products(k + 16));
    }
    if (k < padded_depth) even = _mm256_add_epi32(even, products(k));
    const __m256i both = _mm256_add_epi32(even, odd);
    __m128i sum = _mm_add_epi32(_mm256_castsi256_si128(both), _mm256_extracti128_si256(both, 1));
    sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, _MM_SHUFFLE(1, 0, 3, 2)));
    sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, _MM_SHUFFLE(2, 3, 0, 1)));
    return _mm_cvtsi128_si32(sum);
  }
};

}  // namespace
}  // namespace edgeax
