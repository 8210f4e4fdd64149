#pragma once  // arch/binary_avx512.h: the steps of the binary drivers on AVX-512 with VPOPCNTDQ.

#include "tflite_kernels/arch/avx512_intrinsics.h"
#include "tflite_kernels/arch/binary_folded_avx512.h"

namespace edgeax {
namespace {

// Eight columns are the 64-bit lanes of a register, and stay so up to the last step: the bits that
// differ are counted, multiplied and shifted as 64-bit numbers.
struct BinaryAvx512 : FoldedAvx512 {
  static constexpr int32_t kTilesPerStore = 4;
  static constexpr bool kFolds = true;
  static constexpr bool kCountsEight = true;
  static constexpr bool kFetchesAhead = true;
  static constexpr int32_t kLeftWordBytes = kWordBytes;
  static constexpr int32_t kRightWordBytes = kWordBytes;

  static void StoreWord(uint64_t word, uint8_t* to) { memcpy(to, &word, kWordBytes); }

  // Bit i of `count` codes, 64 at most, is 1 where code i is below the zero point.
  static uint64_t Negative(const int8_t* codes, int32_t count, int8_t zero_point) {
    const __mmask64 read = LastMask(count);
    const __m512i all = _mm512_maskz_loadu_epi8(read, codes);
    return _mm512_mask_cmplt_epi8_mask(read, all, _mm512_set1_epi8(zero_point));
  }

  static void CopyWords(const uint8_t* from, size_t bytes, uint8_t* to) {
    for (; bytes >= 64; bytes -= 64, from += 64, to += 64) _mm512_storeu_si512(to, Load(from));
    if (bytes == 0) return;
    const __mmask8 rest = static_cast<__mmask8>((1u << (bytes / kWordBytes)) - 1);
    _mm512_mask_storeu_epi64(to, rest, _mm512_maskz_loadu_epi64(rest, from));
  }

  static void PackRight(const BinaryColumns& columns, int32_t first, uint8_t* right) {
    const int32_t words = columns.taps * WordsOf(columns.tap_bits);
    if (columns.tap_bits % kWordBits != 0) {
      return PackWords<kColumns>(columns, first, reinterpret_cast<uint64_t*>(right));
    }
    for (int32_t c = 0; c < kColumns; c += 8) {
      const uint8_t* rows[8];
      for (int32_t i = 0; i < 8; ++i) {
        const int32_t row = first + c + i;
        rows[i] =
            columns.weights +
            static_cast<size_t>(row < columns.count ? row : columns.count - 1) * RowBytes(columns);
      }
      uint8_t* to = right + c * kWordBytes;
      for (int32_t w = 0; w < words; w += 8, to += 8 * kTileBytes) {
        Transpose(rows, w, words - w, to);
      }
    }
  }

  // Eight words of eight rows from word `first` on, or `count` if these are fewer, to columns.
  static void Transpose(const uint8_t* const* rows, int32_t first, int32_t count, uint8_t* to) {
    const __mmask8 some = static_cast<__mmask8>(count >= 8 ? 255 : (1 << count) - 1);
    const auto row = [&](int32_t i) {
      return _mm512_maskz_loadu_epi64(some, rows[i] + first * kWordBytes);
    };
    const __m512i r0 = row(0), r1 = row(1), r2 = row(2), r3 = row(3);
    const __m512i r4 = row(4), r5 = row(5), r6 = row(6), r7 = row(7);
    // Words 0, 2, 4 and 6 of two rows each, and words 1, 3, 5 and 7.
    const __m512i a0 = _mm512_unpacklo_epi64(r0, r1), b0 = _mm512_unpackhi_epi64(r0, r1);
    const __m512i a1 = _mm512_unpacklo_epi64(r2, r3), b1 = _mm512_unpackhi_epi64(r2, r3);
    const __m512i a2 = _mm512_unpacklo_epi64(r4, r5), b2 = _mm512_unpackhi_epi64(r4, r5);
    const __m512i a3 = _mm512_unpacklo_epi64(r6, r7), b3 = _mm512_unpackhi_epi64(r6, r7);
    StoreFour(a0, a1, a2, a3, count, to);
    StoreFour(b0, b1, b2, b3, count - 1, to + kTileBytes);
  }

  // Two rows each of the words 0, 2, 4 and 6, those that are before `count`.
  static void StoreFour(__m512i a, __m512i b, __m512i c, __m512i d, int32_t count, uint8_t* to) {
    const __m512i ab_low = _mm512_shuffle_i64x2(a, b, 0x44),
                  ab_high = _mm512_shuffle_i64x2(a, b, 0xEE);
    const __m512i cd_low = _mm512_shuffle_i64x2(c, d, 0x44),
                  cd_high = _mm512_shuffle_i64x2(c, d, 0xEE);
    if (count > 0) _mm512_storeu_si512(to, _mm512_shuffle_i64x2(ab_low, cd_low, 0x88));
    if (count > 2)
      _mm512_storeu_si512(to + 2 * kTileBytes, _mm512_shuffle_i64x2(ab_low, cd_low, 0xDD));
    if (count > 4)
      _mm512_storeu_si512(to + 4 * kTileBytes, _mm512_shuffle_i64x2(ab_high, cd_high, 0x88));
    if (count > 6)
      _mm512_storeu_si512(to + 6 * kTileBytes, _mm512_shuffle_i64x2(ab_high, cd_high, 0xDD));
  }

  // counts[c] = twice the bits of column c.
  static void CountColumns(const uint8_t* right, int32_t words, int32_t* counts) {
    __m512i s0 = _mm512_setzero_si512(), s1 = s0, s2 = s0, s3 = s0;
    for (int32_t w = 0; w < words; ++w, right += kColumns * kWordBytes) {
      s0 = _mm512_add_epi64(s0, _mm512_popcnt_epi64(Load(right)));
      s1 = _mm512_add_epi64(s1, _mm512_popcnt_epi64(Load(right + 64)));
      s2 = _mm512_add_epi64(s2, _mm512_popcnt_epi64(Load(right + 128)));
      s3 = _mm512_add_epi64(s3, _mm512_popcnt_epi64(Load(right + 192)));
    }
    const auto store = [&](int32_t c, __m512i sum) {
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(counts + c),
                          _mm512_cvtepi64_epi32(_mm512_add_epi64(sum, sum)));
    };
    store(0, s0), store(8, s1), store(16, s2), store(24, s3);
  }

  // Bits that differ in `words` words.
  static int32_t CountWords(const uint8_t* x, const uint8_t* w, int32_t words) {
    __m512i sum = _mm512_setzero_si512();
    int32_t k = 0;
    for (; k + 8 <= words; k += 8)
      sum = Add(sum, _mm512_xor_si512(Load(x + k * kWordBytes), Load(w + k * kWordBytes)));
    const __mmask8 rest = static_cast<__mmask8>((1u << (words - k)) - 1);
    sum = Add(sum, _mm512_xor_si512(_mm512_maskz_loadu_epi64(rest, x + k * kWordBytes),
                                    _mm512_maskz_loadu_epi64(rest, w + k * kWordBytes)));
    return static_cast<int32_t>(_mm512_reduce_add_epi64(sum));
  }

  // The sums of the lanes of eight registers.
  static __m512i Totals(__m512i s0, __m512i s1, __m512i s2, __m512i s3, __m512i s4, __m512i s5,
                        __m512i s6, __m512i s7) {
    const auto pairs = [](__m512i a, __m512i b) {
      return _mm512_add_epi64(_mm512_unpacklo_epi64(a, b), _mm512_unpackhi_epi64(a, b));
    };
    const auto quads = [](__m512i a, __m512i b) {
      return _mm512_add_epi64(_mm512_shuffle_i64x2(a, b, 0x88), _mm512_shuffle_i64x2(a, b, 0xDD));
    };
    const __m512i low = quads(pairs(s0, s1), pairs(s2, s3));
    const __m512i high = quads(pairs(s4, s5), pairs(s6, s7));
    return quads(low, high);
  }

  // Bits that differ from those of eight rows in `words` words.
  static void CountEight(const uint8_t* x, const uint8_t* rows, int32_t row_bytes, int32_t words,
                         Difference* counts) {
    const size_t step = static_cast<size_t>(row_bytes);
    const uint8_t *r0 = rows, *r1 = r0 + step, *r2 = r1 + step, *r3 = r2 + step;
    const uint8_t *r4 = r3 + step, *r5 = r4 + step, *r6 = r5 + step, *r7 = r6 + step;
    // Named one by one: GCC keeps an array of accumulators in memory.
    __m512i s0 = _mm512_setzero_si512(), s1 = s0, s2 = s0, s3 = s0, s4 = s0, s5 = s0, s6 = s0,
            s7 = s0;
    const ptrdiff_t bytes = words * kWordBytes;
    for (ptrdiff_t i = 0; i < bytes; i += 64) {
      const int32_t left_over = static_cast<int32_t>(bytes - i) / kWordBytes;
      const __mmask8 some = static_cast<__mmask8>(left_over >= 8 ? 255 : (1 << left_over) - 1);
      const __m512i all = _mm512_maskz_loadu_epi64(some, x + i);
      const auto differ = [&](const uint8_t* row) {
        Prefetch(row, i + 8 * static_cast<ptrdiff_t>(step));
        return _mm512_xor_si512(all, _mm512_maskz_loadu_epi64(some, row + i));
      };
      s0 = Add(s0, differ(r0)), s1 = Add(s1, differ(r1));
      s2 = Add(s2, differ(r2)), s3 = Add(s3, differ(r3));
      s4 = Add(s4, differ(r4)), s5 = Add(s5, differ(r5));
      s6 = Add(s6, differ(r6)), s7 = Add(s7, differ(r7));
    }
    _mm512_storeu_si512(counts, Totals(s0, s1, s2, s3, s4, s5, s6, s7));
  }

  // Into the second level cache, what will be read soon; it may lie anywhere.
  __attribute__((always_inline)) static void Prefetch(const uint8_t* from, ptrdiff_t bytes) {
    const uintptr_t at = reinterpret_cast<uintptr_t>(from) + static_cast<uintptr_t>(bytes);
    _mm_prefetch(reinterpret_cast<const char*>(at), _MM_HINT_T1);
  }

  // The low halves of 16 lanes, in order.
  static __m512i Narrow(__m512i low, __m512i high) {
    const __m512i even =
        _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    return _mm512_permutex2var_epi32(low, even, high);
  }

  // Which differences are above.
  static uint64_t Above(const Difference* differences, const Difference* above) {
    uint64_t bits = 0;
    for (int32_t c = 0; c < kColumns; c += 8) {
      bits |= uint64_t{_mm512_cmpgt_epi64_mask(Load(differences + c), Load(above + c))} << c;
    }
    return bits;
  }

  struct Codes : BinaryLines<BinaryAvx512, kColumns, int64_t> {
    // What is finished has 32 bits then. Smaller shifts are rare, and left to core/.
    static constexpr int64_t kLeastRight = 22;

    Codes(const int32_t* bias, const Requantization* factors, int32_t depth, int32_t count,
          const Quantization& quantization)
        : BinaryLines(bias, factors, depth, count, quantization) {
      for (int32_t c = 0; c < kColumns; ++c) in_vectors = in_vectors && right[c] >= kLeastRight;
    }

    __m512i Eight(const Difference* differences, int32_t c) const {
      const __m512i product = _mm512_mul_epi32(Load(differences + c), Load(slope + c));
      return _mm512_srav_epi64(_mm512_add_epi64(product, Load(start + c)), Load(right + c));
    }

    // A row as 16 bits each, of every 8 channels 4 of the first half and 4 of the second one.
    __m512i Row(const Difference* differences) const {
      const __m512i first = Narrow(Eight(differences, 0), Eight(differences, 8));
      const __m512i second = Narrow(Eight(differences, 16), Eight(differences, 24));
      return _mm512_packs_epi32(first, second);
    }

    void Store(const Difference* differences, int32_t rows, int8_t* output, size_t stride) const {
      if (!in_vectors) return StoreOneByOne(differences, rows, output, stride);
      const __m512i lowest = _mm512_set1_epi8(static_cast<int8_t>(quantization.output_min));
      const __m512i highest = _mm512_set1_epi8(static_cast<int8_t>(quantization.output_max));
      const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
      const __mmask32 stored = static_cast<__mmask32>(LastMask(count));
      for (int32_t r = 0; r < rows; r += 2, differences += 2 * kColumns, output += 2 * stride) {
        const bool is_pair = r + 1 < rows;
        const __m512i row = Row(differences);
        const __m512i next = is_pair ? Row(differences + kColumns) : row;
        const __m512i bytes = _mm512_permutexvar_epi32(order, _mm512_packs_epi16(row, next));
        const __m512i codes = _mm512_min_epi8(_mm512_max_epi8(bytes, lowest), highest);
        _mm256_mask_storeu_epi8(output, stored, _mm512_castsi512_si256(codes));
        if (!is_pair) return;
        _mm256_mask_storeu_epi8(output + stride, stored, _mm512_extracti64x4_epi64(codes, 1));
      }
    }
  };
};

}  // namespace
}  // namespace edgeax
