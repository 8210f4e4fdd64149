#pragma once  // arch/lookup_avx512.h: products that are looked up, on AVX-512.

#include "tflite_kernels/arch/avx512.h"

namespace edgeax {
namespace {

// A table of 16 int32 is one register, and vpermd looks up 16 indices at once, of which it takes
// the lowest 4 bits: 64 bytes of indices are 16 words of 8 columns each.
struct LookupAvx512 {
  using Finish = FinishAvx512;
  static constexpr int32_t kFinished = Finish::kLanes;
  static constexpr int32_t kOutputs = 128;
  static constexpr size_t kTableBytes = 64;

  static bool PaysForAllRows(int32_t, int32_t) { return false; }

  // The products of x with 16 codewords, whose weights number i are lines[16 * i] and after.
  // Returns what Add takes for `is_wide`, of all tables together.
  static bool WriteTable(const int16_t* x, int32_t length, const int8_t* lines, uint8_t* table) {
    __m512i sums = _mm512_setzero_si512();
    for (int32_t i = 0; i < length; ++i, lines += kCodebookEntries) {
      const __m512i weights =
          _mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(lines)));
      sums = _mm512_add_epi32(sums, _mm512_mullo_epi32(weights, _mm512_set1_epi32(x[i])));
    }
    StoreFull(table, sums);
    return true;
  }

  // sums[c] = the sum over all places of what index c of the place names. `bytes` of indices of a
  // place are there, 64 at most; those of the next place lie `pitch` further. The sums beyond them
  // are any.
  static void Add(const uint8_t* tables, int32_t places, const uint8_t* indices, size_t pitch,
                  int32_t bytes, bool, int32_t* sums) {
    const __mmask64 used = FirstBytes(bytes);
    const __m512i zero = _mm512_setzero_si512();
    __m512i s0 = zero, s1 = zero, s2 = zero, s3 = zero, s4 = zero, s5 = zero, s6 = zero, s7 = zero;
    for (int32_t p = 0; p < places; ++p, tables += kTableBytes, indices += pitch) {
      const __m512i table = LoadFull(tables);
      __m512i index = _mm512_maskz_loadu_epi8(used, indices);
      const auto next = [&](__m512i sum) {
        sum = _mm512_add_epi32(sum, _mm512_permutexvar_epi32(index, table));
        index = _mm512_srli_epi32(index, 4);
        return sum;
      };
      s0 = next(s0), s1 = next(s1), s2 = next(s2), s3 = next(s3);
      s4 = next(s4), s5 = next(s5), s6 = next(s6), s7 = next(s7);
    }
    StoreFours(s0, s1, s2, s3, sums);
    StoreFours(s4, s5, s6, s7, sums + 4);
  }

  // Number i of each of four registers to sums[8 * i] and after.
  static void StoreFours(__m512i s0, __m512i s1, __m512i s2, __m512i s3, int32_t* sums) {
    const __m512i a = _mm512_unpacklo_epi32(s0, s1), b = _mm512_unpackhi_epi32(s0, s1);
    const __m512i c = _mm512_unpacklo_epi32(s2, s3), d = _mm512_unpackhi_epi32(s2, s3);
    StoreQuarters(_mm512_unpacklo_epi64(a, c), sums);
    StoreQuarters(_mm512_unpackhi_epi64(a, c), sums + 8);
    StoreQuarters(_mm512_unpacklo_epi64(b, d), sums + 16);
    StoreQuarters(_mm512_unpackhi_epi64(b, d), sums + 24);
  }

  static void StoreQuarters(__m512i fours, int32_t* to) {
    const auto store = [&](int32_t at, __m128i four) {
      _mm_storeu_si128(reinterpret_cast<__m128i*>(to + at), four);
    };
    store(0, _mm512_extracti32x4_epi32(fours, 0));
    store(32, _mm512_extracti32x4_epi32(fours, 1));
    store(64, _mm512_extracti32x4_epi32(fours, 2));
    store(96, _mm512_extracti32x4_epi32(fours, 3));
  }
};

}  // namespace
}  // namespace edgeax
