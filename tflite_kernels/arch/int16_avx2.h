#pragma once  // arch/int16_avx2.h: products of int16 on AVX2. Only for files compiled with -mavx2.

#include <immintrin.h>

#include "tflite_kernels/arch/int16_matmul.h"

namespace edgeax {
namespace {

struct Int16Avx2 {
  static constexpr int32_t kRows = 6;
  static constexpr int32_t kColumns = 16;

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
};

}  // namespace
}  // namespace edgeax
