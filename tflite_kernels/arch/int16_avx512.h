#pragma once  // arch/int16_avx512.h: products of int16 on AVX-512. Only for files compiled for it.

#include "tflite_kernels/arch/avx512_intrinsics.h"
#include "tflite_kernels/arch/int16_avx2.h"

namespace edgeax {
namespace {

// With few rows as on AVX2.
struct Int16Avx512 : Int16Avx2 {
  static constexpr int32_t kRows = 8;
  static constexpr int32_t kColumns = 32;

  // The sums of a row with 32 columns.
  struct RowSums {
    __m512i first = _mm512_setzero_si512(), second = _mm512_setzero_si512();

    void Add(const int16_t* pair, __m512i w0, __m512i w1) {
      const __m512i both = _mm512_set1_epi32(LoadNumber<int32_t>(pair));
      first = _mm512_dpwssd_epi32(first, both, w0);
      second = _mm512_dpwssd_epi32(second, both, w1);
    }

    void Store(int32_t* sums) const {
      _mm512_storeu_si512(sums, first);
      _mm512_storeu_si512(sums + 16, second);
    }
  };

  // sums int32 [kRows][kColumns] of `pairs` pairs of depths; `right` [pairs][kColumns][2].
  __attribute__((noinline)) static void Multiply(const int16_t* const* rows, const int16_t* right,
                                                 int32_t pairs, int32_t* sums) {
    RowSums row0, row1, row2, row3, row4, row5, row6, row7;
    for (int32_t k = 0; k < 2 * pairs; k += 2, right += 2 * kColumns) {
      const __m512i w0 = _mm512_loadu_si512(right);
      const __m512i w1 = _mm512_loadu_si512(right + kColumns);
      row0.Add(rows[0] + k, w0, w1);
      row1.Add(rows[1] + k, w0, w1);
      row2.Add(rows[2] + k, w0, w1);
      row3.Add(rows[3] + k, w0, w1);
      row4.Add(rows[4] + k, w0, w1);
      row5.Add(rows[5] + k, w0, w1);
      row6.Add(rows[6] + k, w0, w1);
      row7.Add(rows[7] + k, w0, w1);
    }
    row0.Store(sums);
    row1.Store(sums + kColumns);
    row2.Store(sums + 2 * kColumns);
    row3.Store(sums + 3 * kColumns);
    row4.Store(sums + 4 * kColumns);
    row5.Store(sums + 5 * kColumns);
    row6.Store(sums + 6 * kColumns);
    row7.Store(sums + 7 * kColumns);
  }
};

}  // namespace
}  // namespace edgeax
