#pragma once  // arch/lookup_avx2.h: products that are looked up, on AVX2.

#include "tflite_kernels/arch/avx2.h"
#include "tflite_kernels/arch/lookup_planes.h"

namespace edgeax {
namespace {

// 16 bytes of indices: the lower half of a register looks up their low nibbles, which are the even
// columns, the upper half the odd ones.
struct LookupAvx2 {
  using Finish = FinishAvx2;
  static constexpr int32_t kFinished = Finish::kLanes;
  static constexpr int32_t kOutputs = 32;
  static constexpr size_t kTableBytes = 16 * kPlanes;

  static bool PaysForAllRows(int32_t, int32_t) { return false; }

  // The products of x with 16 codewords, whose weights number i are lines[16 * i] and after.
  // Returns whether one needs more than 16 bits.
  static bool WriteTable(const int16_t* x, int32_t length, const int8_t* lines, uint8_t* table) {
    __m256i low = _mm256_set1_epi32(kPlaneOffset), high = low;
    for (int32_t i = 0; i < length; ++i, lines += kCodebookEntries) {
      const __m128i weights = _mm_loadu_si128(reinterpret_cast<const __m128i*>(lines));
      const __m256i number = _mm256_set1_epi32(x[i]);
      const __m256i first = _mm256_cvtepi8_epi32(weights);
      const __m256i second = _mm256_cvtepi8_epi32(_mm_srli_si128(weights, 8));
      low = _mm256_add_epi32(low, _mm256_mullo_epi32(first, number));
      high = _mm256_add_epi32(high, _mm256_mullo_epi32(second, number));
    }
    // Of each four sums: their lowest bytes, the next ones, the highest ones.
    const __m256i bytes = _mm256_broadcastsi128_si256(
        _mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15));
    low = _mm256_shuffle_epi8(low, bytes);
    high = _mm256_shuffle_epi8(high, bytes);
    const __m128i a = _mm256_castsi256_si128(low), b = _mm256_extracti128_si256(low, 1);
    const __m128i c = _mm256_castsi256_si128(high), d = _mm256_extracti128_si256(high, 1);
    const __m128i ab = _mm_unpacklo_epi32(a, b), cd = _mm_unpacklo_epi32(c, d);
    const __m128i last = _mm_unpacklo_epi64(_mm_unpackhi_epi32(a, b), _mm_unpackhi_epi32(c, d));
    __m128i* to = reinterpret_cast<__m128i*>(table);
    _mm_storeu_si128(to, _mm_unpacklo_epi64(ab, cd));
    _mm_storeu_si128(to + 1, _mm_unpackhi_epi64(ab, cd));
    _mm_storeu_si128(to + 2, last);
    const __m128i narrow = _mm_cmpeq_epi8(last, _mm_set1_epi8(static_cast<char>(kHighByte)));
    return _mm_movemask_epi8(narrow) != 0xFFFF;
  }

  // sums[c] = the sum over all places of what index c of the place names. `bytes` of indices of a
  // place are there, 16 at most; those of the next place lie `pitch` further. The sums beyond them
  // are any. `is_wide`: whether a table has a product of more than 16 bits.
  static void Add(const uint8_t* tables, int32_t places, const uint8_t* indices, size_t pitch,
                  int32_t bytes, bool is_wide, int32_t* sums) {
    memset(sums, 0, kOutputs * sizeof(int32_t));
    for (int32_t p = 0; p < places; p += kPlanePlaces) {
      const int32_t count = places - p < kPlanePlaces ? places - p : kPlanePlaces;
      const uint8_t* from = indices + static_cast<size_t>(p) * pitch;
      const uint8_t* own = tables + static_cast<size_t>(p) * kTableBytes;
      if (bytes < 16) {
        AddPlanes<false, true>(own, count, from, pitch, bytes, sums);
      } else if (is_wide) {
        AddPlanes<true, true>(own, count, from, pitch, bytes, sums);
      } else {
        AddPlanes<true, false>(own, count, from, pitch, bytes, sums);
      }
    }
  }

  static __m256i Twice(const void* from) {
    return _mm256_broadcastsi128_si256(_mm_loadu_si128(static_cast<const __m128i*>(from)));
  }

  template <bool kWhole>
  static __m256i LoadIndices(const uint8_t* from, int32_t bytes) {
    if (kWhole) return Twice(from);
    uint8_t all[16] = {};
    for (int32_t i = 0; i < bytes; ++i) all[i] = from[i];
    return Twice(all);
  }

  // Bytes at even places and those at odd ones, as sums of 16 bits.
  static void AddBytes(__m256i found, __m256i* even, __m256i* odd) {
    *even = _mm256_add_epi16(*even, _mm256_and_si256(found, _mm256_set1_epi16(0xFF)));
    *odd = _mm256_add_epi16(*odd, _mm256_srli_epi16(found, 8));
  }

  template <bool kWhole, bool kIsWide>
  __attribute__((noinline)) static void AddPlanes(const uint8_t* tables, int32_t places,
                                                  const uint8_t* indices, size_t pitch,
                                                  int32_t bytes, int32_t* sums) {
    const __m256i halves = _mm256_setr_epi64x(0, 0, 4, 4);
    const __m256i zero = _mm256_setzero_si256();
    __m256i e0 = zero, o0 = zero, e1 = zero, o1 = zero, e2 = zero, o2 = zero;
    for (int32_t p = 0; p < places; ++p, tables += kTableBytes, indices += pitch) {
      const __m256i index =
          LowNibbles(_mm256_srlv_epi64(LoadIndices<kWhole>(indices, bytes), halves));
      AddBytes(_mm256_shuffle_epi8(Twice(tables), index), &e0, &o0);
      AddBytes(_mm256_shuffle_epi8(Twice(tables + 16), index), &e1, &o1);
      if (kIsWide) AddBytes(_mm256_shuffle_epi8(Twice(tables + 32), index), &e2, &o2);
    }
    // Halves of even bytes are the columns 0, 4, 8, ... and 1, 5, 9, ..., those of odd bytes the
    // columns 2, 6, 10, ... and 3, 7, 11, ...
    const __m256i moved = _mm256_set1_epi32(MovedBack(kIsWide, places));
    const auto total = [&](__m128i low, __m128i middle, __m128i high) {
      const __m256i upper = _mm256_slli_epi32(_mm256_cvtepu16_epi32(high), 16);
      const __m256i lower = _mm256_add_epi32(_mm256_cvtepu16_epi32(low),
                                             _mm256_slli_epi32(_mm256_cvtepu16_epi32(middle), 8));
      return _mm256_add_epi32(_mm256_add_epi32(upper, lower), moved);
    };
    const auto first = [](__m256i value) { return _mm256_castsi256_si128(value); };
    const auto second = [](__m256i value) { return _mm256_extracti128_si256(value, 1); };
    const __m256i s0 = total(first(e0), first(e1), first(e2));
    const __m256i s1 = total(second(e0), second(e1), second(e2));
    const __m256i s2 = total(first(o0), first(o1), first(o2));
    const __m256i s3 = total(second(o0), second(o1), second(o2));
    const __m256i a = _mm256_unpacklo_epi32(s0, s1), b = _mm256_unpackhi_epi32(s0, s1);
    const __m256i c = _mm256_unpacklo_epi32(s2, s3), d = _mm256_unpackhi_epi32(s2, s3);
    const __m256i q0 = _mm256_unpacklo_epi64(a, c), q1 = _mm256_unpackhi_epi64(a, c);
    const __m256i q2 = _mm256_unpacklo_epi64(b, d), q3 = _mm256_unpackhi_epi64(b, d);
    const auto add = [&](int32_t at, __m256i eight) {
      StoreWide(sums + at, _mm256_add_epi32(LoadWide(sums + at), eight));
    };
    add(0, _mm256_permute2x128_si256(q0, q1, 0x20));
    add(8, _mm256_permute2x128_si256(q2, q3, 0x20));
    add(16, _mm256_permute2x128_si256(q0, q1, 0x31));
    add(24, _mm256_permute2x128_si256(q2, q3, 0x31));
  }
};

}  // namespace
}  // namespace edgeax
