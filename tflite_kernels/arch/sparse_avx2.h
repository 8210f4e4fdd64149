#pragma once  // arch/sparse_avx2.h: the steps of the sparse driver on AVX2.

#include "tflite_kernels/arch/avx2.h"
#include "tflite_kernels/arch/expand_x86.h"
#include "tflite_kernels/arch/sparse_matmul.h"
#include "tflite_kernels/arch/transpose_x86.h"

namespace edgeax {
namespace {

struct SparseAvx2 : Avx2, ExpandX86 {
  using LanesFinish = Finish;
  using ListWeight = int16_t;
  using VectorNumber = int16_t;         // less the zero point
  static constexpr int32_t kGroup = 2;  // depths that vpmaddwd takes at once
  static constexpr int32_t kFewSparseRows = 3;
  static constexpr bool kDotsMaskOfFours = false;
  static constexpr bool kUsesPlanes = false;
  static constexpr bool kFinishesLanes = false;
  static constexpr bool kTakesBalanced = false;
  static constexpr int32_t kSumRows = 8;
  // The Lanes form serves up to so many weights of a hundred that are left.
  static constexpr int32_t kLanesPercent = 30;
  static constexpr int32_t kGroupedLanesPercent = 50;

  // The Vector form reads weights of a mask with their zeros from so many of a hundred on.
  static constexpr int32_t kExpandPercent = 10;

  // What the zero point adds to a sum: it is taken off on the left.
  static int32_t OffsetOf(int32_t, const Quantization&) { return 0; }
  static int32_t VectorOffset(const int8_t*, int32_t, const Quantization&) { return 0; }

  static ListSums CopyWeights(const int8_t* values, int32_t count, ListWeight* to) {
    int32_t i = 0;
    for (; i + 16 <= count; i += 16) StoreWide(to + i, Widen16(values + i));
    for (; i < count; ++i) to[i] = values[i];
    return {0, false};
  }

  // A row less its zero point.
  static void Center(const Left* row, int32_t padded_depth, const Quantization&, int16_t* to) {
    memcpy(to, row, static_cast<size_t>(padded_depth) * sizeof(int16_t));
  }

  // 8 rows of 8 groups, `from_pitch` numbers apart, to 8 groups of 8 rows.
  template <int32_t kGroupSize>
  static void Transpose(const Left* from, ptrdiff_t from_pitch, Left* to, ptrdiff_t to_pitch) {
    if (kGroupSize == 1) {
      const auto load = [&](int32_t i) {
        return _mm_loadu_si128(reinterpret_cast<const __m128i*>(from + i * from_pitch));
      };
      const auto store = [&](int32_t i, __m128i value) {
        _mm_storeu_si128(reinterpret_cast<__m128i*>(to + i * to_pitch), value);
      };
      TransposeLanes(load, store);
    } else {
      TransposeWords(from, from_pitch * ptrdiff_t{sizeof(Left)}, to,
                     to_pitch * ptrdiff_t{sizeof(Left)});
    }
  }

  // 8 x 8 words of 32 bits, rows so many bytes apart.
  static void TransposeWords(const void* from, ptrdiff_t from_pitch, void* to, ptrdiff_t to_pitch) {
    const auto load = [&](int32_t i) {
      return LoadWide(static_cast<const uint8_t*>(from) + i * from_pitch);
    };
    const auto store = [&](int32_t i, __m256i a, __m256i b, int32_t half) {
      StoreWide(static_cast<uint8_t*>(to) + i * to_pitch,
                half == 0 ? _mm256_permute2x128_si256(a, b, 0x20)
                          : _mm256_permute2x128_si256(a, b, 0x31));
    };
    const __m256i r0 = load(0), r1 = load(1), r2 = load(2), r3 = load(3);
    const __m256i r4 = load(4), r5 = load(5), r6 = load(6), r7 = load(7);
    const __m256i a0 = _mm256_unpacklo_epi32(r0, r1), a1 = _mm256_unpackhi_epi32(r0, r1);
    const __m256i a2 = _mm256_unpacklo_epi32(r2, r3), a3 = _mm256_unpackhi_epi32(r2, r3);
    const __m256i a4 = _mm256_unpacklo_epi32(r4, r5), a5 = _mm256_unpackhi_epi32(r4, r5);
    const __m256i a6 = _mm256_unpacklo_epi32(r6, r7), a7 = _mm256_unpackhi_epi32(r6, r7);
    const __m256i b0 = _mm256_unpacklo_epi64(a0, a2), b1 = _mm256_unpackhi_epi64(a0, a2);
    const __m256i b2 = _mm256_unpacklo_epi64(a1, a3), b3 = _mm256_unpackhi_epi64(a1, a3);
    const __m256i b4 = _mm256_unpacklo_epi64(a4, a6), b5 = _mm256_unpackhi_epi64(a4, a6);
    const __m256i b6 = _mm256_unpacklo_epi64(a5, a7), b7 = _mm256_unpackhi_epi64(a5, a7);
    store(0, b0, b4, 0), store(1, b1, b5, 0), store(2, b2, b6, 0), store(3, b3, b7, 0);
    store(4, b0, b4, 1), store(5, b1, b5, 1), store(6, b2, b6, 1), store(7, b3, b7, 1);
  }

  // sums int32 [16 columns][pitch], of which 8 rows go to [8 rows][16 columns].
  static void TransposeSums(const int32_t* sums, ptrdiff_t pitch, int32_t* to) {
    constexpr ptrdiff_t kWord = sizeof(int32_t);
    TransposeWords(sums, pitch * kWord, to, kColumns * kWord);
    TransposeWords(sums + 8 * pitch, pitch * kWord, to + 8, kColumns * kWord);
  }

  static __m256i BroadcastPair(const ListWeight* weights) {
    int32_t both;
    memcpy(&both, weights, sizeof(both));
    return _mm256_set1_epi32(both);
  }

  // Adds the products of one weight each of two depths with 16 rows. The sums of rows 0-3 and 8-11
  // go to `low`, those of 4-7 and 12-15 to `high`, as the halves of registers are interleaved.
  static void AddTwo(const Left* a, const Left* b, __m256i pair, __m256i* low, __m256i* high) {
    const __m256i x = LoadWide(a), y = LoadWide(b);
    *low = _mm256_add_epi32(*low, _mm256_madd_epi16(_mm256_unpacklo_epi16(x, y), pair));
    *high = _mm256_add_epi32(*high, _mm256_madd_epi16(_mm256_unpackhi_epi16(x, y), pair));
  }

  // Adds the products of a group with 16 rows.
  static void AddGroup(const Left* from, __m256i pair, __m256i* low, __m256i* high) {
    *low = _mm256_add_epi32(*low, _mm256_madd_epi16(pair, LoadWide(from)));
    *high = _mm256_add_epi32(*high, _mm256_madd_epi16(pair, LoadWide(from + 16)));
  }

  // The sums of 16 * kParts rows. Named one by one: GCC keeps an array of accumulators in memory.
  template <int32_t kParts>
  struct LaneSums {
    __m256i low0, high0, low1, high1, low2, high2, low3, high3;

    LaneSums() {
      low0 = high0 = low1 = high1 = low2 = high2 = low3 = high3 = _mm256_setzero_si256();
    }

    void Store(int32_t* to, bool interleaved) const {
      StoreSums(low0, high0, interleaved, to);
      if (kParts > 1) StoreSums(low1, high1, interleaved, to + 16);
      if (kParts > 2) StoreSums(low2, high2, interleaved, to + 32);
      if (kParts > 2) StoreSums(low3, high3, interleaved, to + 48);
    }
  };

  // `interleaved`: as AddTwo leaves them.
  static void StoreSums(__m256i low, __m256i high, bool interleaved, int32_t* to) {
    StoreWide(to, interleaved ? _mm256_permute2x128_si256(low, high, 0x20) : low);
    StoreWide(to + 8, interleaved ? _mm256_permute2x128_si256(low, high, 0x31) : high);
  }

  // sums int32 [16 * kParts rows] of the products of a list, `count` a multiple of 4.
  template <int32_t kGroupSize, int32_t kParts>
  __attribute__((noinline)) static void AddLanes(const Left* lanes, const int32_t* offsets,
                                                 const ListWeight* weights, int32_t count, bool,
                                                 int32_t* to) {
    LaneSums<kParts> sums;
    if (kGroupSize == 1) {
      for (int32_t i = 0; i < count; i += 2) {
        const Left *a = lanes + offsets[i], *b = lanes + offsets[i + 1];
        const __m256i pair = BroadcastPair(weights + i);
        AddTwo(a, b, pair, &sums.low0, &sums.high0);
        if (kParts > 1) AddTwo(a + 16, b + 16, pair, &sums.low1, &sums.high1);
        if (kParts > 2) AddTwo(a + 32, b + 32, pair, &sums.low2, &sums.high2);
        if (kParts > 2) AddTwo(a + 48, b + 48, pair, &sums.low3, &sums.high3);
      }
    } else {
      for (int32_t i = 0; i < count; ++i) {
        const Left* from = lanes + offsets[i];
        const __m256i pair = BroadcastPair(weights + 2 * i);
        AddGroup(from, pair, &sums.low0, &sums.high0);
        if (kParts > 1) AddGroup(from + 32, pair, &sums.low1, &sums.high1);
        if (kParts > 2) AddGroup(from + 64, pair, &sums.low2, &sums.high2);
        if (kParts > 2) AddGroup(from + 96, pair, &sums.low3, &sums.high3);
      }
    }
    sums.Store(to, kGroupSize == 1);
  }

  static __m256i Widen16(const int8_t* values) {
    return _mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(values)));
  }

  // The products of a vector with the weights of a mask.
  struct MaskSum {
    __m256i sum = _mm256_setzero_si256();

    // 16 more; returns the next value.
    const int8_t* Add16(const int16_t* vector, const uint8_t* mask, const int8_t* values) {
      const __m256i weights = _mm256_cvtepi8_epi16(Expand(mask, &values));
      sum = _mm256_add_epi32(sum, _mm256_madd_epi16(weights, LoadWide(vector)));
      return values;
    }

    int32_t Total() const { return TotalOf(sum); }
  };

  static int32_t TotalOf(__m256i sums) {
    __m128i sum = _mm_add_epi32(_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1));
    sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0x4E));
    sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0xB1));
    return _mm_cvtsi128_si32(sum);
  }

  static __m128i Load8Numbers(const int16_t* from) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
  }

  static __m128i Load4Numbers(const int16_t* a, const int16_t* b) {
    return _mm_unpacklo_epi64(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(a)),
                              _mm_loadl_epi64(reinterpret_cast<const __m128i*>(b)));
  }

  // The numbers that 16 weights meet.
  template <int32_t kBlock>
  static __m256i Gather16(const int16_t* vector, const int32_t* at) {
    if (kBlock == 16) return LoadWide(vector + at[0]);
    if (kBlock == 8) {
      return _mm256_set_m128i(Load8Numbers(vector + at[1]), Load8Numbers(vector + at[0]));
    }
    return _mm256_set_m128i(Load4Numbers(vector + at[2], vector + at[3]),
                            Load4Numbers(vector + at[0], vector + at[1]));
  }

  // Sum of the products of `count` blocks.
  template <int32_t kBlock>
  static int32_t DotBlocks(const int16_t* vector, const int32_t* offsets, const int8_t* values,
                           int32_t count) {
    constexpr int32_t kBlocks = 16 / kBlock;
    __m256i sum0 = _mm256_setzero_si256(), sum1 = sum0;
    int32_t i = 0;
    for (; i + 2 * kBlocks <= count; i += 2 * kBlocks, values += 32) {
      sum0 = _mm256_add_epi32(
          sum0, _mm256_madd_epi16(Gather16<kBlock>(vector, offsets + i), Widen16(values)));
      sum1 = _mm256_add_epi32(
          sum1,
          _mm256_madd_epi16(Gather16<kBlock>(vector, offsets + i + kBlocks), Widen16(values + 16)));
    }
    sum0 = _mm256_add_epi32(sum0, sum1);
    if (i + kBlocks <= count) {
      sum0 = _mm256_add_epi32(
          sum0, _mm256_madd_epi16(Gather16<kBlock>(vector, offsets + i), Widen16(values)));
      i += kBlocks;
      values += 16;
    }
    int32_t total = TotalOf(sum0);
    for (; i < count; ++i, values += kBlock) {
      const int16_t* x = vector + offsets[i];
      for (int32_t k = 0; k < kBlock; ++k) total += x[k] * values[k];
    }
    return total;
  }
};

}  // namespace
}  // namespace edgeax
