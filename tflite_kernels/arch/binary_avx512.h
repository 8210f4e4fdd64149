#pragma once  // arch/binary_avx512.h: the steps of the binary drivers on AVX-512 with VPOPCNTDQ.

#include "tflite_kernels/arch/avx512_intrinsics.h"
#include "tflite_kernels/arch/binary_matmul.h"

namespace edgeax {
namespace {

// Eight columns are the 64-bit lanes of a register, and stay so up to the last step: the bits that
// differ are counted, multiplied and shifted as 64-bit numbers.
struct BinaryAvx512 {
  using Difference = int64_t;
  static constexpr int32_t kRows = 6;
  static constexpr int32_t kColumns = 32;
  static constexpr int32_t kTilesPerStore = 1;
  static constexpr int32_t kLeftWordBytes = kWordBytes;
  static constexpr int32_t kRightWordBytes = kWordBytes;

  static __m512i Load(const void* from) { return _mm512_loadu_si512(from); }

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
    PackWords<kColumns>(columns, first, reinterpret_cast<uint64_t*>(right));
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

  static __m512i Count(__m512i x, __m512i w) { return _mm512_popcnt_epi64(_mm512_xor_si512(x, w)); }

  static __m512i Add(__m512i sum, __m512i x, __m512i w) {
    return _mm512_add_epi64(sum, Count(x, w));
  }

  static __m512i LoadEverywhere(const uint8_t* from) {
    long long word;
    memcpy(&word, from, sizeof(word));
    return _mm512_set1_epi64(word);
  }

  static void StoreTwice(Difference* to, __m512i sum) {
    _mm512_storeu_si512(to, _mm512_add_epi64(sum, sum));
  }

#define EDGEAX_FIRST_WORD(row)                   \
  const __m512i x##row = LoadEverywhere(r##row); \
  __m512i s##row##0 = Count(x##row, w0);         \
  __m512i s##row##1 = Count(x##row, w1);         \
  __m512i s##row##2 = Count(x##row, w2);         \
  __m512i s##row##3 = Count(x##row, w3)

#define EDGEAX_ADD_WORD(row)                                              \
  do {                                                                    \
    const __m512i x = LoadEverywhere(r##row + k * kWordBytes);            \
    s##row##0 = Add(s##row##0, x, w0), s##row##1 = Add(s##row##1, x, w1); \
    s##row##2 = Add(s##row##2, x, w2), s##row##3 = Add(s##row##3, x, w3); \
  } while (false)

#define EDGEAX_STORE_ROW(row)                                       \
  do {                                                              \
    Difference* to = differences + row * kColumns;                  \
    StoreTwice(to, s##row##0), StoreTwice(to + 8, s##row##1);       \
    StoreTwice(to + 16, s##row##2), StoreTwice(to + 24, s##row##3); \
  } while (false)

  // differences [6 rows][32 columns]. Not inlined: the loop needs all registers.
  __attribute__((noinline)) static void Multiply(const uint8_t* rows, size_t row_bytes,
                                                 const uint8_t* right, int32_t words,
                                                 Difference* differences) {
    const uint8_t *r0 = rows, *r1 = r0 + row_bytes, *r2 = r1 + row_bytes;
    const uint8_t *r3 = r2 + row_bytes, *r4 = r3 + row_bytes, *r5 = r4 + row_bytes;
    __m512i w0 = Load(right), w1 = Load(right + 64);
    __m512i w2 = Load(right + 128), w3 = Load(right + 192);
    // Sums are named one by one: GCC keeps an array of accumulators in memory.
    EDGEAX_FIRST_WORD(0);
    EDGEAX_FIRST_WORD(1);
    EDGEAX_FIRST_WORD(2);
    EDGEAX_FIRST_WORD(3);
    EDGEAX_FIRST_WORD(4);
    EDGEAX_FIRST_WORD(5);
    for (ptrdiff_t k = 1; k < words; ++k) {
      right += kColumns * kWordBytes;
      w0 = Load(right), w1 = Load(right + 64);
      w2 = Load(right + 128), w3 = Load(right + 192);
      EDGEAX_ADD_WORD(0);
      EDGEAX_ADD_WORD(1);
      EDGEAX_ADD_WORD(2);
      EDGEAX_ADD_WORD(3);
      EDGEAX_ADD_WORD(4);
      EDGEAX_ADD_WORD(5);
    }
    EDGEAX_STORE_ROW(0);
    EDGEAX_STORE_ROW(1);
    EDGEAX_STORE_ROW(2);
    EDGEAX_STORE_ROW(3);
    EDGEAX_STORE_ROW(4);
    EDGEAX_STORE_ROW(5);
  }
#undef EDGEAX_FIRST_WORD
#undef EDGEAX_ADD_WORD
#undef EDGEAX_STORE_ROW

  // Bits that differ in `words` words.
  static int32_t CountWords(const uint8_t* x, const uint8_t* w, int32_t words) {
    __m512i sum = _mm512_setzero_si512();
    int32_t k = 0;
    for (; k + 8 <= words; k += 8)
      sum = Add(sum, Load(x + k * kWordBytes), Load(w + k * kWordBytes));
    const __mmask8 rest = static_cast<__mmask8>((1u << (words - k)) - 1);
    sum = Add(sum, _mm512_maskz_loadu_epi64(rest, x + k * kWordBytes),
              _mm512_maskz_loadu_epi64(rest, w + k * kWordBytes));
    return static_cast<int32_t>(_mm512_reduce_add_epi64(sum));
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
    using BinaryLines::BinaryLines;

    __m128i Eight(const Difference* differences, int32_t c) const {
      const __m512i product = _mm512_mul_epi32(Load(differences + c), Load(slope + c));
      const __m512i moved =
          _mm512_srav_epi64(_mm512_add_epi64(product, Load(start + c)), Load(right + c));
      return _mm512_cvtsepi64_epi8(moved);
    }

    void Store(const Difference* differences, int32_t rows, int8_t* output, size_t stride) const {
      if (!in_vectors) return StoreOneByOne(differences, rows, output, stride);
      const __m256i lowest = _mm256_set1_epi8(static_cast<int8_t>(quantization.output_min));
      const __m256i highest = _mm256_set1_epi8(static_cast<int8_t>(quantization.output_max));
      const __mmask32 stored = static_cast<__mmask32>(LastMask(count));
      for (int32_t r = 0; r < rows; ++r, differences += kColumns, output += stride) {
        const __m128i low = _mm_unpacklo_epi64(Eight(differences, 0), Eight(differences, 8));
        const __m128i high = _mm_unpacklo_epi64(Eight(differences, 16), Eight(differences, 24));
        const __m256i all = _mm256_inserti128_si256(_mm256_castsi128_si256(low), high, 1);
        _mm256_mask_storeu_epi8(output, stored,
                                _mm256_min_epi8(_mm256_max_epi8(all, lowest), highest));
      }
    }
  };
};

}  // namespace
}  // namespace edgeax
