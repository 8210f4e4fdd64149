#pragma once  // arch/int16_avx2.h: products of int16 on AVX2. Only for files compiled with -mavx2.

#include <immintrin.h>

#include "tflite_kernels/arch/int16_matmul.h"

namespace edgeax {
namespace {

struct Int16Avx2 {
  static constexpr int32_t kRows = 6;
  static constexpr int32_t kColumns = 16;
  static constexpr int32_t kFewRows = 4;
  static constexpr int32_t kDotStep = 32;
  static constexpr int32_t kPairsOfStep = 1;  // in a lane of Dot's sums

  // The sums of a row with 16 columns.
  struct RowSums {
    __m256i first = _mm256_setzero_si256(), second = _mm256_setzero_si256();

    void Add(const int16_t* pair, __m256i w0, __m256i w1) {
      const __m256i both = _mm256_set1_epi32(LoadNumber<int32_t>(pair));
      first = _mm256_add_epi32(first, _mm256_madd_epi16(both, w0));
      second = _mm256_add_epi32(second, _mm256_madd_epi16(both, w1));
    }

    void Store(int32_t* sums) const {
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(sums), first);
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(sums + 8), second);
    }
  };

  // sums int32 [kRows][kColumns] of `pairs` pairs of depths; `right` [pairs][kColumns][2].
  __attribute__((noinline)) static void Multiply(const int16_t* const* rows, const int16_t* right,
                                                 int32_t pairs, int32_t* sums) {
    RowSums row0, row1, row2, row3, row4, row5;
    for (int32_t k = 0; k < 2 * pairs; k += 2, right += 2 * kColumns) {
      const __m256i w0 = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(right));
      const __m256i w1 = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(right + kColumns));
      row0.Add(rows[0] + k, w0, w1);
      row1.Add(rows[1] + k, w0, w1);
      row2.Add(rows[2] + k, w0, w1);
      row3.Add(rows[3] + k, w0, w1);
      row4.Add(rows[4] + k, w0, w1);
      row5.Add(rows[5] + k, w0, w1);
    }
    row0.Store(sums);
    row1.Store(sums + kColumns);
    row2.Store(sums + 2 * kColumns);
    row3.Store(sums + 3 * kColumns);
    row4.Store(sums + 4 * kColumns);
    row5.Store(sums + 5 * kColumns);
  }

  // The tables that nibbles of codes are looked up in.
  template <int32_t kBits>
  struct Tables {
    static constexpr int32_t kCodes = 4 / kBits;  // in a nibble

    explicit Tables(const NibbleTables& tables)
        : first(Load(tables.values[0])),
          second(Load(tables.values[1 % kCodes])),
          third(Load(tables.values[2 % kCodes])),
          fourth(Load(tables.values[3 % kCodes])) {}

    static __m128i Load(const int8_t* values) {
      return _mm_loadu_si128(reinterpret_cast<const __m128i*>(values));
    }

    __m128i first, second, third, fourth;
  };

  // 32 weights from 4 * kBits bytes of codes.
  struct Weights {
    __m128i first, second;
  };

  template <int32_t kBits>
  static Weights Decode32(__m128i bytes, const Tables<kBits>& tables) {
    const __m128i mask = _mm_set1_epi8(15);
    const __m128i low = _mm_and_si128(bytes, mask);
    const __m128i high = _mm_and_si128(_mm_srli_epi16(bytes, 4), mask);
    const __m128i nibbles = _mm_unpacklo_epi8(low, high);
    const auto find = [](__m128i table, __m128i places) { return _mm_shuffle_epi8(table, places); };
    if constexpr (kBits == 4) {
      return {find(tables.first, nibbles), find(tables.first, _mm_unpackhi_epi8(low, high))};
    }
    // The codes of a nibble follow each other.
    const __m128i first = find(tables.first, nibbles), second = find(tables.second, nibbles);
    if constexpr (kBits == 2) {
      return {_mm_unpacklo_epi8(first, second), _mm_unpackhi_epi8(first, second)};
    }
    const __m128i pairs = _mm_unpacklo_epi8(first, second);
    const __m128i more =
        _mm_unpacklo_epi8(find(tables.third, nibbles), find(tables.fourth, nibbles));
    return {_mm_unpacklo_epi16(pairs, more), _mm_unpackhi_epi16(pairs, more)};
  }

  // kBytes of codes, 16, 8 or 4, of which the last may be missing: they are then 0.
  template <int32_t kBytes>
  static __m128i LoadCodes(const uint8_t* from, int32_t left_over) {
    if (left_over < kBytes) {
      uint8_t bytes[16] = {};
      memcpy(bytes, from, static_cast<size_t>(left_over));
      return _mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes));
    }
    if (kBytes == 16) return _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
    if (kBytes == 8) return _mm_loadl_epi64(reinterpret_cast<const __m128i*>(from));
    return _mm_cvtsi32_si128(LoadNumber<int32_t>(from));
  }

  static __m256i AddProducts(__m256i sum, __m128i weights, const int16_t* x) {
    const __m256i vector = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(x));
    return _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_cvtepi8_epi16(weights), vector));
  }

  static int64_t SumOf(__m256i sums) {
    const __m256i wide = _mm256_add_epi64(_mm256_cvtepi32_epi64(_mm256_castsi256_si128(sums)),
                                          _mm256_cvtepi32_epi64(_mm256_extracti128_si256(sums, 1)));
    const __m128i two =
        _mm_add_epi64(_mm256_castsi256_si128(wide), _mm256_extracti128_si256(wide, 1));
    return _mm_cvtsi128_si64(two) + _mm_extract_epi64(two, 1);
  }

  // The sum of the products of a row of codes and `x`, which has whole steps. An int32 sum holds
  // `most_steps` of them.
  template <int32_t kBits>
  __attribute__((noinline)) static int64_t Dot(const int16_t* x, const uint8_t* row,
                                               int32_t row_bytes, const Tables<kBits>& tables,
                                               int32_t most_steps) {
    constexpr int32_t kBytes = kDotStep / 8 * kBits;
    int64_t sum = 0;
    for (int32_t byte = 0; byte < row_bytes;) {
      __m256i first = _mm256_setzero_si256(), second = _mm256_setzero_si256();
      for (int32_t step = 0; step < most_steps && byte < row_bytes; ++step, x += kDotStep) {
        const Weights weights = Decode32(LoadCodes<kBytes>(row + byte, row_bytes - byte), tables);
        first = AddProducts(first, weights.first, x);
        second = AddProducts(second, weights.second, x + 16);
        byte += kBytes;
      }
      sum += SumOf(first) + SumOf(second);
    }
    return sum;
  }
};

}  // namespace
}  // namespace edgeax
