#pragma once  // arch/binary_avx2.h: the steps of the binary drivers on AVX2. Only for files
              // compiled with -mavx2.

#include "tflite_kernels/arch/avx2.h"
#include "tflite_kernels/arch/binary_matmul.h"
#include "tflite_kernels/arch/transpose_x86.h"

namespace edgeax {
namespace {

// Entry 16 * a + w: how many of four bits of a and w differ. 15 more, for a table by any byte, as a
// row that is not gathered has.
alignas(64) constexpr uint8_t kNibbleDifferences[16 * 16 + 15] = {
    0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4, 1, 0, 2, 1, 2, 1, 3, 2, 2, 1, 3, 2, 3, 2, 4, 3,
    1, 2, 0, 1, 2, 3, 1, 2, 2, 3, 1, 2, 3, 4, 2, 3, 2, 1, 1, 0, 3, 2, 2, 1, 3, 2, 2, 1, 4, 3, 3, 2,
    1, 2, 2, 3, 0, 1, 1, 2, 2, 3, 3, 4, 1, 2, 2, 3, 2, 1, 3, 2, 1, 0, 2, 1, 3, 2, 4, 3, 2, 1, 3, 2,
    2, 3, 1, 2, 1, 2, 0, 1, 3, 4, 2, 3, 2, 3, 1, 2, 3, 2, 2, 1, 2, 1, 1, 0, 4, 3, 3, 2, 3, 2, 2, 1,
    1, 2, 2, 3, 2, 3, 3, 4, 0, 1, 1, 2, 1, 2, 2, 3, 2, 1, 3, 2, 3, 2, 4, 3, 1, 0, 2, 1, 2, 1, 3, 2,
    2, 3, 1, 2, 3, 4, 2, 3, 1, 2, 0, 1, 2, 3, 1, 2, 3, 2, 2, 1, 4, 3, 3, 2, 2, 1, 1, 0, 3, 2, 2, 1,
    2, 3, 3, 4, 1, 2, 2, 3, 1, 2, 2, 3, 0, 1, 1, 2, 3, 2, 4, 3, 2, 1, 3, 2, 2, 1, 3, 2, 1, 0, 2, 1,
    3, 4, 2, 3, 2, 3, 1, 2, 2, 3, 1, 2, 1, 2, 0, 1, 4, 3, 3, 2, 3, 2, 2, 1, 3, 2, 2, 1, 2, 1, 1, 0};

// Bits are compared four at a time by a table for the row's four bits, in which the columns' four
// bits are looked up, 32 columns at once. So a word of a row is 16 bytes, 16 times the number of a
// table each, and a word of a column 16 bytes of 4 bits, columns beside each other.
struct BinaryAvx2 {
  using Difference = int32_t;
  static constexpr int32_t kRows = 6;
  static constexpr int32_t kColumns = 64;
  static constexpr int32_t kTilesPerStore = 1;
  static constexpr bool kFolds = false;
  static constexpr bool kCountsEight = false;
  static constexpr bool kFetchesAhead = false;
  static constexpr int32_t kLeftWordBytes = 16;
  static constexpr int32_t kRightWordBytes = 16;
  static constexpr int32_t kNibbles = 16;  // of a word

  // Four bits of a word in each byte, the lowest first.
  static __m128i Nibbles(uint64_t word) {
    const __m128i mask = _mm_set1_epi8(15);
    const __m128i bytes = _mm_cvtsi64_si128(static_cast<int64_t>(word));
    const __m128i low = _mm_and_si128(bytes, mask);
    const __m128i high = _mm_and_si128(_mm_srli_epi16(bytes, 4), mask);
    return _mm_unpacklo_epi8(low, high);
  }

  static void StoreWord(uint64_t word, uint8_t* to) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm_slli_epi16(Nibbles(word), 4));
  }

  // Bit i of `count` codes, 64 at most, is 1 where code i is below the zero point.
  static uint64_t Negative(const int8_t* codes, int32_t count, int8_t zero_point) {
    int8_t all[kWordBits];
    if (count < kWordBits) {
      memset(all, zero_point, sizeof(all));
      memcpy(all, codes, static_cast<size_t>(count));
      codes = all;
    }
    const __m256i zero = _mm256_set1_epi8(zero_point);
    const auto bits = [&](int32_t i) {
      const __m256i below = _mm256_cmpgt_epi8(zero, LoadWide(codes + i));
      return static_cast<uint32_t>(_mm256_movemask_epi8(below));
    };
    return bits(0) | uint64_t{bits(32)} << 32;
  }

  static void CopyWords(const uint8_t* from, size_t bytes, uint8_t* to) {
    for (size_t i = 0; i < bytes; i += kLeftWordBytes) {
      _mm_storeu_si128(reinterpret_cast<__m128i*>(to + i),
                       _mm_loadu_si128(reinterpret_cast<const __m128i*>(from + i)));
    }
  }

  // A byte each of 16 columns: its low four bits, and its high four bits a row of columns further.
  static void StoreNibbles(__m128i bytes, uint8_t* to) {
    const __m128i mask = _mm_set1_epi8(15);
    const __m128i high = _mm_and_si128(_mm_srli_epi16(bytes, 4), mask);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm_and_si128(bytes, mask));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to + kColumns), high);
  }

  // The words of 16 columns to [16 nibbles][columns]: a 16 x 8 transpose of bytes.
  static void StoreColumns(const uint64_t* words, uint8_t* to) {
    const auto pair = [&](int32_t i) {
      const __m128i a = _mm_cvtsi64_si128(static_cast<int64_t>(words[i]));
      return _mm_unpacklo_epi8(a, _mm_cvtsi64_si128(static_cast<int64_t>(words[i + 1])));
    };
    TransposeLanes([&](int32_t i) { return pair(2 * i); },
                   [&](int32_t i, __m128i bytes) { StoreNibbles(bytes, to + 2 * i * kColumns); });
  }

  static void PackRight(const BinaryColumns& columns, int32_t first, uint8_t* right) {
    const int32_t words = WordsOf(columns.tap_bits), tap_bytes = TapBytes(columns);
    const uint64_t last = LastMask(columns.tap_bits);
    const uint8_t* row[kColumns];
    for (int32_t c = 0; c < kColumns; ++c) {
      const int32_t at = first + c < columns.count ? first + c : columns.count - 1;
      row[c] = columns.weights + static_cast<size_t>(at) * RowBytes(columns);
    }
    // The last of the rows ends last.
    const ptrdiff_t room = columns.weights_end - row[kColumns - 1];
    for (int32_t t = 0; t < columns.taps; ++t) {
      for (int32_t w = 0; w < words; ++w, right += kNibbles * kColumns) {
        const ptrdiff_t at = static_cast<ptrdiff_t>(t) * tap_bytes + w * kWordBytes;
        const uint64_t mask = w + 1 == words ? last : ~uint64_t{0};
        const bool is_inside = at + kWordBytes <= room;
        for (int32_t c = 0; c < kColumns; c += 16) {
          uint64_t some[16];
          for (int32_t i = 0; i < 16; ++i) {
            const uint8_t* from = row[c + i] + at;
            some[i] = LoadWord(from, is_inside ? from + kWordBytes : columns.weights_end) & mask;
          }
          StoreColumns(some, right + c);
        }
      }
    }
  }

  static __m256i Table(const uint8_t* number) {
    const uint8_t* table = kNibbleDifferences + *number;
    return _mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(table)));
  }

  // Twice the 32 counts of a register, to differences or added to them.
  static void StoreTwice(__m256i counts, bool is_first, Difference* to) {
    const auto store = [&](__m128i eight, Difference* at) {
      const __m256i wide = _mm256_cvtepu8_epi32(eight);
      const __m256i twice = _mm256_add_epi32(wide, wide);
      StoreWide(at, is_first ? twice : _mm256_add_epi32(twice, LoadWide(at)));
    };
    const __m128i low = _mm256_castsi256_si128(counts);
    const __m128i high = _mm256_extracti128_si256(counts, 1);
    store(low, to), store(_mm_srli_si128(low, 8), to + 8);
    store(high, to + 16), store(_mm_srli_si128(high, 8), to + 24);
  }

  // Numbers of four bits whose counts still fit a byte.
  static constexpr int32_t kMost = 63;

  // counts[c] = twice the bits of column c: those that differ from a row of zeros.
  static void CountColumns(const uint8_t* right, int32_t words, int32_t* counts) {
    const uint8_t zero = 0;
    const __m256i table = Table(&zero);
    const int32_t nibbles = words * kNibbles;
    for (int32_t first = 0; first < nibbles; first += kMost) {
      const int32_t end = nibbles - first < kMost ? nibbles : first + kMost;
      __m256i s0 = _mm256_setzero_si256(), s1 = s0;
      for (int32_t n = first; n < end; ++n, right += kColumns) {
        s0 = _mm256_add_epi8(s0, _mm256_shuffle_epi8(table, LoadWide(right)));
        s1 = _mm256_add_epi8(s1, _mm256_shuffle_epi8(table, LoadWide(right + 32)));
      }
      StoreTwice(s0, first == 0, counts), StoreTwice(s1, first == 0, counts + 32);
    }
  }

  // The barrier keeps the rows in order: mixed by GCC 12 they need more registers than there are.
#define EDGEAX_ADD_NIBBLE(row)                                              \
  do {                                                                      \
    const __m256i table = Table(r##row + n);                                \
    s##row##0 = _mm256_add_epi8(s##row##0, _mm256_shuffle_epi8(table, w0)); \
    s##row##1 = _mm256_add_epi8(s##row##1, _mm256_shuffle_epi8(table, w1)); \
    __asm__ volatile("" : "+x"(s##row##0), "+x"(s##row##1) : : "memory");   \
  } while (false)

#define EDGEAX_STORE_ROW(row)                                      \
  StoreTwice(s##row##0, first == 0, differences + row * kColumns), \
      StoreTwice(s##row##1, first == 0, differences + row * kColumns + 32)

  // differences [6 rows][64 columns]. Not inlined: the loop needs all 16 registers.
  __attribute__((noinline)) static void Multiply(const uint8_t* rows, size_t row_bytes,
                                                 const uint8_t* right, int32_t words, int32_t,
                                                 Difference* differences) {
    const uint8_t *r0 = rows, *r1 = r0 + row_bytes, *r2 = r1 + row_bytes;
    const uint8_t *r3 = r2 + row_bytes, *r4 = r3 + row_bytes, *r5 = r4 + row_bytes;
    const int32_t nibbles = words * kNibbles;
    for (int32_t first = 0; first < nibbles; first += kMost) {
      const int32_t end = nibbles - first < kMost ? nibbles : first + kMost;
      // Named one by one: GCC keeps an array of accumulators in memory.
      __m256i s00 = _mm256_setzero_si256(), s01 = s00, s10 = s00, s11 = s00;
      __m256i s20 = s00, s21 = s00, s30 = s00, s31 = s00;
      __m256i s40 = s00, s41 = s00, s50 = s00, s51 = s00;
      for (ptrdiff_t n = first; n < end; ++n, right += kColumns) {
        const __m256i w0 = LoadWide(right), w1 = LoadWide(right + 32);
        EDGEAX_ADD_NIBBLE(0);
        EDGEAX_ADD_NIBBLE(1);
        EDGEAX_ADD_NIBBLE(2);
        EDGEAX_ADD_NIBBLE(3);
        EDGEAX_ADD_NIBBLE(4);
        EDGEAX_ADD_NIBBLE(5);
      }
      EDGEAX_STORE_ROW(0);
      EDGEAX_STORE_ROW(1);
      EDGEAX_STORE_ROW(2);
      EDGEAX_STORE_ROW(3);
      EDGEAX_STORE_ROW(4);
      EDGEAX_STORE_ROW(5);
    }
  }
#undef EDGEAX_STORE_ROW
#undef EDGEAX_ADD_NIBBLE

  // Bits that differ in `words` words.
  static int32_t CountWords(const uint8_t* x, const uint8_t* w, int32_t words) {
    const __m256i mask = _mm256_set1_epi8(15);
    const __m256i table = Table(kNibbleDifferences);
    __m256i sum = _mm256_setzero_si256();
    int32_t k = 0;
    for (; k + 4 <= words; k += 4) {
      const __m256i differ =
          _mm256_xor_si256(LoadWide(x + k * kWordBytes), LoadWide(w + k * kWordBytes));
      const __m256i low = _mm256_shuffle_epi8(table, _mm256_and_si256(differ, mask));
      const __m256i high =
          _mm256_shuffle_epi8(table, _mm256_and_si256(_mm256_srli_epi16(differ, 4), mask));
      const __m256i bytes = _mm256_add_epi8(low, high);
      sum = _mm256_add_epi64(sum, _mm256_sad_epu8(bytes, _mm256_setzero_si256()));
    }
    uint64_t sums[4];
    StoreWide(sums, sum);
    uint64_t count = sums[0] + sums[1] + sums[2] + sums[3];
    for (; k < words; ++k) {
      uint64_t a, b;
      memcpy(&a, x + k * kWordBytes, sizeof(a));
      memcpy(&b, w + k * kWordBytes, sizeof(b));
      count += static_cast<uint64_t>(__builtin_popcountll(a ^ b));
    }
    return static_cast<int32_t>(count);
  }

  // Which differences are above.
  static uint64_t Above(const Difference* differences, const Difference* above) {
    uint64_t bits = 0;
    for (int32_t c = 0; c < kColumns; c += 8) {
      const __m256i greater = _mm256_cmpgt_epi32(LoadWide(differences + c), LoadWide(above + c));
      const int mask = _mm256_movemask_ps(_mm256_castsi256_ps(greater));
      bits |= static_cast<uint64_t>(static_cast<uint32_t>(mask)) << c;
    }
    return bits;
  }

  // Sums as the finish of other kernels takes them, 16 columns each.
  struct Codes {
    static constexpr int32_t kLanes = FinishAvx2::kLanes;

    Codes(const int32_t* bias, const Requantization* factors, int32_t depth, int32_t count,
          const Quantization& quantization)
        : parts{Part(0, bias, factors, depth, count, quantization),
                Part(1, bias, factors, depth, count, quantization),
                Part(2, bias, factors, depth, count, quantization),
                Part(3, bias, factors, depth, count, quantization)},
          count(count) {}

    static FinishAvx2 Part(int32_t part, const int32_t* bias, const Requantization* factors,
                           int32_t depth, int32_t count, const Quantization& quantization) {
      int32_t offsets[kLanes];
      for (int32_t& offset : offsets) offset = BinaryTotal(0, depth);
      const int32_t left_over = count - part * kLanes;
      const int32_t some = left_over < 0 ? 0 : left_over < kLanes ? left_over : kLanes;
      return FinishAvx2(bias + part * kLanes, factors + part * kLanes, offsets, some, quantization);
    }

    static __m256i Units(const Difference* differences) {
      return _mm256_sub_epi32(_mm256_setzero_si256(),
                              _mm256_slli_epi32(LoadWide(differences), kBinaryFractionBits));
    }

    void Store(const Difference* differences, int32_t rows, int8_t* output, size_t stride) const {
      for (int32_t r = 0; r < rows; ++r, differences += kColumns, output += stride) {
        for (int32_t part = 0; part * kLanes < count; ++part) {
          const Difference* from = differences + part * kLanes;
          parts[part].Store(Units(from), Units(from + 8), output + part * kLanes);
        }
      }
    }

    FinishAvx2 parts[4];
    int32_t count;
  };
};

}  // namespace
}  // namespace edgeax
