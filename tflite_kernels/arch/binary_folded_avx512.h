#pragma once  // arch/binary_folded_avx512.h: differences of rows and columns of bits on AVX-512.

#include "tflite_kernels/arch/avx512_intrinsics.h"
#include "tflite_kernels/arch/binary_matmul.h"

// A row is folded when each of its words holds the sum modulo 2 of all words up to it. What differs
// between a folded row and a folded column is the lowest bit of a count of differences, in each
// place of a word. Two words further the count has carried into twos just where that bit went from
// 1 to 0, after the first or after the second of them. So two words cost one vpopcntq and one
// vpaddq instead of two each, and a vpternlogq more.
namespace edgeax {
namespace {

struct FoldedAvx512 {
  using Difference = int64_t;
  static constexpr int32_t kRows = 3;
  static constexpr int32_t kColumns = 32;
  static constexpr int32_t kTileBytes = kColumns * kWordBytes;  // a word of each column

  static __m512i Load(const void* from) { return _mm512_loadu_si512(from); }

  static __m512i Add(__m512i sum, __m512i bits) {
    return _mm512_add_epi64(sum, _mm512_popcnt_epi64(bits));
  }

  static __m512i LoadEverywhere(const uint8_t* from) {
    long long word;
    memcpy(&word, from, sizeof(word));
    return _mm512_set1_epi64(word);
  }

  // Folds `count` windows of runs, each `step` bytes after the one before, to rows.
  static void FoldWindows(const uint8_t* from, int32_t count, size_t step, const Runs& runs,
                          uint8_t* to, size_t row_bytes) {
    const int32_t words = runs.words;  // unrolled for three taps of 64, 128 and 256 channels
    if (words == 3) return FoldWindowsOf(from, count, step, runs, 3, to, row_bytes);
    if (words == 6) return FoldWindowsOf(from, count, step, runs, 6, to, row_bytes);
    if (words == 12) return FoldWindowsOf(from, count, step, runs, 12, to, row_bytes);
    FoldWindowsOf(from, count, step, runs, words, to, row_bytes);
  }

  __attribute__((always_inline)) static void FoldWindowsOf(const uint8_t* from, int32_t count,
                                                           size_t step, const Runs& runs,
                                                           int32_t words, uint8_t* to,
                                                           size_t row_bytes) {
    for (int32_t i = 0; i < count; ++i, from += step, to += row_bytes) {
      uint64_t sum = 0;
      const uint8_t* run = from;
      uint8_t* at = to;
      for (int32_t r = 0; r < runs.count; ++r, run += runs.step) {
        sum = FoldWords(run, words, sum, at);
        at += words * kWordBytes;
      }
    }
  }

  // `before` is the sum of the words before, and the sum of all is returned.
  static uint64_t FoldWords(const uint8_t* from, int32_t words, uint64_t before, uint8_t* to) {
    for (int32_t k = 0; k < words; ++k) {
      uint64_t word;
      memcpy(&word, from + k * kWordBytes, kWordBytes);
      before ^= word;
      memcpy(to + k * kWordBytes, &before, kWordBytes);
    }
    return before;
  }

  static void FoldRow(uint8_t* row, int32_t words) { FoldWords(row, words, 0, row); }

  static void FoldRight(uint8_t* right, int32_t words) {
    __m512i s0 = _mm512_setzero_si512(), s1 = s0, s2 = s0, s3 = s0;
    const auto fold = [](__m512i* sum, uint8_t* at) {
      *sum = _mm512_xor_si512(*sum, Load(at));
      _mm512_storeu_si512(at, *sum);
    };
    for (int32_t w = 0; w < words; ++w, right += kTileBytes) {
      fold(&s0, right), fold(&s1, right + 64), fold(&s2, right + 128), fold(&s3, right + 192);
    }
  }

  // Twice the differences, of which `carries` were counted in twos.
  static void StoreTwice(Difference* to, __m512i carries, __m512i lowest) {
    const __m512i all = Add(_mm512_add_epi64(carries, carries), lowest);
    _mm512_storeu_si512(to, _mm512_add_epi64(all, all));
  }

  // In assembly: GCC 12 mixes the rows until it has no register left for the sums. `word` is the
  // number of the first of two words, whose columns are in `w` and `v`; the lowest bits before are
  // in `old`, those after in `now`.
#define EDGEAX_COUNT_TWO(row, word, old, now, w, v)                \
  "vpxorq " #word "*8(%[r" #row "])%{1to8%}, %[" #w                \
  "], %[a]\n\t"                                                    \
  "vpxorq " #word "*8+8(%[r" #row "])%{1to8%}, %[" #v "], %[" #now \
  "]\n\t"                                                          \
  "vpternlogq $0x74, %[" #now "], %[a], %[" #old                   \
  "]\n\t"                                                          \
  "vpopcntq %[" #old "], %[" #old                                  \
  "]\n\t"                                                          \
  "vpaddq %[" #old "], %[s], %[s]\n\t"

#define EDGEAX_EACH_ROW(macro, column) \
  macro(0, column);                    \
  if constexpr (kCount > 1) {          \
    macro(1, column);                  \
    macro(2, column);                  \
  }

  // Four words of a row and of eight columns.
#define EDGEAX_COUNT_FOUR(row, column)                                                    \
  __asm__ volatile(                                                                       \
      EDGEAX_COUNT_TWO(row, 0, b, c, w0, w1) EDGEAX_COUNT_TWO(row, 2, c, b, w2, w3)       \
      : [b] "+v"(b##row##column), [s] "+v"(s##row##column), [a] "=&v"(a), [c] "=&v"(c)    \
      : [r##row] "r"(r##row + at), [w0] "v"(w0), [w1] "v"(w1), [w2] "v"(w2), [w3] "v"(w3) \
      : "memory")

#define EDGEAX_FOUR_OF_COLUMN(column)                                                          \
  do {                                                                                         \
    const __m512i w0 = Load(right + column * 64), w1 = Load(right + kTileBytes + column * 64); \
    const __m512i w2 = Load(right + 2 * kTileBytes + column * 64);                             \
    const __m512i w3 = Load(right + 3 * kTileBytes + column * 64);                             \
    __m512i a, c;                                                                              \
    EDGEAX_EACH_ROW(EDGEAX_COUNT_FOUR, column);                                                \
  } while (false)

#define EDGEAX_TWO_OF(row, column)                                                               \
  do {                                                                                           \
    const __m512i a = _mm512_xor_si512(LoadEverywhere(r##row + at), w0);                         \
    const __m512i c = _mm512_xor_si512(LoadEverywhere(r##row + at + kWordBytes), w1);            \
    s##row##column = Add(s##row##column, _mm512_ternarylogic_epi64(b##row##column, a, c, 0x74)); \
    b##row##column = c;                                                                          \
  } while (false)

#define EDGEAX_TWO_OF_COLUMN(column)                                                           \
  do {                                                                                         \
    const __m512i w0 = Load(right + column * 64), w1 = Load(right + kTileBytes + column * 64); \
    EDGEAX_EACH_ROW(EDGEAX_TWO_OF, column);                                                    \
  } while (false)

  // The second and third word of an odd number of them: nothing is counted yet.
#define EDGEAX_THIRD_OF(row, column)                                                             \
  do {                                                                                           \
    const __m512i a = _mm512_xor_si512(LoadEverywhere(r##row + at), w0);                         \
    const __m512i c = _mm512_xor_si512(LoadEverywhere(r##row + at + kWordBytes), w1);            \
    s##row##column = _mm512_popcnt_epi64(_mm512_ternarylogic_epi64(b##row##column, a, c, 0x74)); \
    b##row##column = c;                                                                          \
  } while (false)

#define EDGEAX_THIRD_OF_COLUMN(column)                                                         \
  do {                                                                                         \
    const __m512i w0 = Load(right + column * 64), w1 = Load(right + kTileBytes + column * 64); \
    EDGEAX_EACH_ROW(EDGEAX_THIRD_OF, column);                                                  \
  } while (false)

  // The second word of an even number of them: nothing was counted before the first.
#define EDGEAX_SECOND_OF(row, column)                                             \
  do {                                                                            \
    const __m512i c = _mm512_xor_si512(LoadEverywhere(r##row + at), w);           \
    s##row##column = _mm512_popcnt_epi64(_mm512_andnot_si512(c, b##row##column)); \
    b##row##column = c;                                                           \
  } while (false)

#define EDGEAX_SECOND_OF_COLUMN(column)          \
  do {                                           \
    const __m512i w = Load(right + column * 64); \
    EDGEAX_EACH_ROW(EDGEAX_SECOND_OF, column);   \
  } while (false)

#define EDGEAX_FIRST_OF(row, column)                                                            \
  __m512i b##row##column = _mm512_xor_si512(LoadEverywhere(r##row), Load(right + column * 64)); \
  __m512i s##row##column = _mm512_setzero_si512()

#define EDGEAX_FIRST_OF_ROW(row) \
  EDGEAX_FIRST_OF(row, 0);       \
  EDGEAX_FIRST_OF(row, 1);       \
  EDGEAX_FIRST_OF(row, 2);       \
  EDGEAX_FIRST_OF(row, 3)

#define EDGEAX_EACH_COLUMN(macro) \
  macro(0);                       \
  macro(1);                       \
  macro(2);                       \
  macro(3)

#define EDGEAX_STORE_ROW(row)                                                             \
  do {                                                                                    \
    Difference* to = differences + row * kColumns;                                        \
    StoreTwice(to, s##row##0, b##row##0), StoreTwice(to + 8, s##row##1, b##row##1);       \
    StoreTwice(to + 16, s##row##2, b##row##2), StoreTwice(to + 24, s##row##3, b##row##3); \
  } while (false)

  // differences [3 rows][32 columns], of folded words; of the rows `count` are wanted.
  static void Multiply(const uint8_t* rows, size_t row_bytes, const uint8_t* right, int32_t words,
                       int32_t count, Difference* differences) {
    const auto multiply = count == 1 ? MultiplyRows<1> : MultiplyRows<3>;
    multiply(rows, row_bytes, right, words, differences);
  }

  // The same for one row or three. Not inlined: the loop needs all registers.
  template <int32_t kCount>
  __attribute__((noinline)) static void MultiplyRows(const uint8_t* rows, size_t row_bytes,
                                                     const uint8_t* right, int32_t words,
                                                     Difference* differences) {
    const uint8_t* const r0 = rows;
    const uint8_t *r1 = kCount > 1 ? r0 + row_bytes : r0, *r2 = kCount > 1 ? r1 + row_bytes : r0;
    // Sums are named one by one: GCC keeps an array of accumulators in memory.
    EDGEAX_FIRST_OF_ROW(0);
    EDGEAX_FIRST_OF_ROW(1);
    EDGEAX_FIRST_OF_ROW(2);
    right += kTileBytes;
    ptrdiff_t at = kWordBytes;
    int32_t left_over = words - 1;
    if (left_over % 2 != 0) {
      EDGEAX_EACH_COLUMN(EDGEAX_SECOND_OF_COLUMN);
      right += kTileBytes;
      at += kWordBytes;
      --left_over;
    } else if (left_over > 0) {
      EDGEAX_EACH_COLUMN(EDGEAX_THIRD_OF_COLUMN);
      right += 2 * kTileBytes;
      at += 2 * kWordBytes;
      left_over -= 2;
    }
    for (; left_over >= 4; left_over -= 4, at += 4 * kWordBytes, right += 4 * kTileBytes) {
      EDGEAX_EACH_COLUMN(EDGEAX_FOUR_OF_COLUMN);
    }
    if (left_over > 0) {
      EDGEAX_EACH_COLUMN(EDGEAX_TWO_OF_COLUMN);
    }
    EDGEAX_STORE_ROW(0);
    if constexpr (kCount > 1) {
      EDGEAX_STORE_ROW(1);
      EDGEAX_STORE_ROW(2);
    }
  }
#undef EDGEAX_COUNT_TWO
#undef EDGEAX_COUNT_FOUR
#undef EDGEAX_FOUR_OF_COLUMN
#undef EDGEAX_TWO_OF
#undef EDGEAX_TWO_OF_COLUMN
#undef EDGEAX_THIRD_OF
#undef EDGEAX_THIRD_OF_COLUMN
#undef EDGEAX_SECOND_OF
#undef EDGEAX_SECOND_OF_COLUMN
#undef EDGEAX_FIRST_OF
#undef EDGEAX_FIRST_OF_ROW
#undef EDGEAX_EACH_COLUMN
#undef EDGEAX_EACH_ROW
#undef EDGEAX_STORE_ROW
};

}  // namespace
}  // namespace edgeax
