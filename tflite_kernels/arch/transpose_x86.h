#pragma once  // arch/transpose_x86.h: 8 x 8 numbers of 16 bits, rows to columns.

#include <immintrin.h>

namespace edgeax {
namespace {

// Numbers of 16, 32 or 64 bits of the lower or the higher halves, in turn from `a` and `b`.
inline __m128i Low16(__m128i a, __m128i b) { return _mm_unpacklo_epi16(a, b); }
inline __m128i High16(__m128i a, __m128i b) { return _mm_unpackhi_epi16(a, b); }
inline __m128i Low32(__m128i a, __m128i b) { return _mm_unpacklo_epi32(a, b); }
inline __m128i High32(__m128i a, __m128i b) { return _mm_unpackhi_epi32(a, b); }
inline __m128i Low64(__m128i a, __m128i b) { return _mm_unpacklo_epi64(a, b); }
inline __m128i High64(__m128i a, __m128i b) { return _mm_unpackhi_epi64(a, b); }

// The same in each 128 bits.
inline __m256i Low16(__m256i a, __m256i b) { return _mm256_unpacklo_epi16(a, b); }
inline __m256i High16(__m256i a, __m256i b) { return _mm256_unpackhi_epi16(a, b); }
inline __m256i Low32(__m256i a, __m256i b) { return _mm256_unpacklo_epi32(a, b); }
inline __m256i High32(__m256i a, __m256i b) { return _mm256_unpackhi_epi32(a, b); }
inline __m256i Low64(__m256i a, __m256i b) { return _mm256_unpacklo_epi64(a, b); }
inline __m256i High64(__m256i a, __m256i b) { return _mm256_unpackhi_epi64(a, b); }

// Transposes each 128 bits of 8 registers: `load(i)` gives row i, `store(i, column)` takes column
// i.
template <typename Load, typename Store>
inline void TransposeLanes(const Load& load, const Store& store) {
  const auto r0 = load(0), r1 = load(1), r2 = load(2), r3 = load(3);
  const auto r4 = load(4), r5 = load(5), r6 = load(6), r7 = load(7);
  const auto a0 = Low16(r0, r1), a1 = High16(r0, r1), a2 = Low16(r2, r3), a3 = High16(r2, r3);
  const auto a4 = Low16(r4, r5), a5 = High16(r4, r5), a6 = Low16(r6, r7), a7 = High16(r6, r7);
  const auto b0 = Low32(a0, a2), b1 = High32(a0, a2), b2 = Low32(a1, a3), b3 = High32(a1, a3);
  const auto b4 = Low32(a4, a6), b5 = High32(a4, a6), b6 = Low32(a5, a7), b7 = High32(a5, a7);
  store(0, Low64(b0, b4)), store(1, High64(b0, b4));
  store(2, Low64(b1, b5)), store(3, High64(b1, b5));
  store(4, Low64(b2, b6)), store(5, High64(b2, b6));
  store(6, Low64(b3, b7)), store(7, High64(b3, b7));
}

}  // namespace
}  // namespace edgeax
