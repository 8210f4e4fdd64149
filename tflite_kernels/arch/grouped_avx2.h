#pragma once  // arch/grouped_avx2.h: the steps of arch/grouped_matmul.h on AVX2.

#include "tflite_kernels/arch/avx2.h"
#include "tflite_kernels/arch/grouped_matmul.h"

namespace edgeax {
namespace {

struct GroupedAvx2 : Avx2 {
  static constexpr int32_t kBlock = 32;
  static constexpr int32_t kDepthStep = kBlock;

  static __m128i LoadHalf(const void* from) {
    return _mm_loadu_si128(static_cast<const __m128i*>(from));
  }

  // A table of 16 bytes for each half of a block.
  template <int32_t kParts>
  static __m256i LoadTables(const int8_t* const* tables, int32_t offset) {
    const __m128i first = LoadHalf(tables[0] + offset);
    if (kParts == 1) return _mm256_broadcastsi128_si256(first);
    return _mm256_set_m128i(LoadHalf(tables[kParts - 1] + offset), first);
  }

  // 32 weights from 4 * kBits bytes. Each of kParts parts has its table of nibbles.
  template <int32_t kBits, int32_t kParts>
  static void DecodeBlock(const uint8_t* bytes, const int8_t* const* tables, int8_t* to) {
    const __m256i first = LoadTables<kParts>(tables, 0);
    if (kBits == 4) {
      const __m256i wide = _mm256_cvtepu8_epi16(LoadHalf(bytes));
      const __m256i nibbles = LowNibbles(_mm256_or_si256(wide, _mm256_slli_epi16(wide, 4)));
      return StoreWide(to, _mm256_shuffle_epi8(first, nibbles));
    }
    // Each byte four times, of which the last two are for its high nibble.
    const __m256i spread = _mm256_setr_epi32(0, 0x01010101, 0x02020202, 0x03030303, 0x04040404,
                                             0x05050505, 0x06060606, 0x07070707);
    const __m256i both = _mm256_set1_epi64x(LoadNumber<int64_t>(bytes));
    const __m256i fours = _mm256_shuffle_epi8(both, spread);
    const __m256i nibbles =
        LowNibbles(_mm256_blend_epi16(fours, _mm256_srli_epi16(fours, 4), 0xAA));
    const __m256i second = LoadTables<kParts>(tables, 16);
    StoreWide(to, _mm256_blendv_epi8(_mm256_shuffle_epi8(first, nibbles),
                                     _mm256_shuffle_epi8(second, nibbles),
                                     _mm256_set1_epi16(static_cast<int16_t>(0xFF00))));
  }

  // Adds the products of 16 numbers with as many weights.
  static __m256i AddProducts(__m256i sum, __m256i x, const int8_t* weights) {
    return _mm256_add_epi32(sum, _mm256_madd_epi16(x, _mm256_cvtepi8_epi16(LoadHalf(weights))));
  }

  // A row of `padded_depth` numbers times each of four rows of as many weights beside each other.
  static void DotFour(const Left* row, const int8_t* weights, int32_t padded_depth,
                      const Quantization&, int32_t* sums) {
    const int8_t *w0 = weights, *w1 = w0 + padded_depth;
    const int8_t *w2 = w1 + padded_depth, *w3 = w2 + padded_depth;
    // Named one by one: GCC keeps an array of accumulators in memory.
    __m256i s0 = _mm256_setzero_si256(), s1 = s0, s2 = s0, s3 = s0;
    for (int32_t k = 0; k < padded_depth; k += 16) {
      const __m256i x = LoadWide(row + k);
      s0 = AddProducts(s0, x, w0 + k);
      s1 = AddProducts(s1, x, w1 + k);
      s2 = AddProducts(s2, x, w2 + k);
      s3 = AddProducts(s3, x, w3 + k);
    }
    const __m256i quads = _mm256_hadd_epi32(_mm256_hadd_epi32(s0, s1), _mm256_hadd_epi32(s2, s3));
    const __m128i four =
        _mm_add_epi32(_mm256_castsi256_si128(quads), _mm256_extracti128_si256(quads, 1));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(sums), four);
  }
};

}  // namespace
}  // namespace edgeax
