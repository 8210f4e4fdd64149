#pragma once  // arch/avx512.h: the steps of the drivers on AVX-512 with VNNI.

#include <string.h>

#include "tflite_kernels/arch/avx512_intrinsics.h"
#include "tflite_kernels/arch/finish_avx512.h"
#include "tflite_kernels/arch/matmul.h"
#include "tflite_kernels/arch/multiply_avx512.h"

namespace edgeax {
namespace {

inline __m512i LoadFull(const void* from) { return _mm512_loadu_si512(from); }

inline void StoreFull(void* to, __m512i value) { _mm512_storeu_si512(to, value); }

// The first `count` bytes, at most 64, of which others are not read.
inline __mmask64 FirstBytes(int64_t count) {
  return count >= 64 ? ~__mmask64{0} : (__mmask64{1} << (count < 0 ? 0 : count)) - 1;
}

// 16 bytes each of four places, one in each quarter.
inline __m512i LoadQuarters(const uint8_t* a, const uint8_t* b, const uint8_t* c,
                            const uint8_t* d) {
  const auto load = [](const uint8_t* from) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
  };
  __m512i all = _mm512_castsi128_si512(load(a));
  all = _mm512_inserti32x4(all, load(b), 1);
  all = _mm512_inserti32x4(all, load(c), 2);
  return _mm512_inserti32x4(all, load(d), 3);
}

// vpdpbusd multiplies unsigned with signed bytes and adds four products: activations lie in scratch
// as uint8, 128 added, and weights as int8. What the 128 and the zero point add to a sum is taken
// off again by its column. Padding of the depth is the zero point.
struct Avx512 {
  using Left = uint8_t;
  using Right = int8_t;
  using Finish = FinishAvx512;
  static constexpr int32_t kRows = 14;
  static constexpr int32_t kColumns = 32;
  static constexpr int32_t kDepthStep = 32;
  static constexpr int32_t kFewRows = 3;
  static constexpr bool kHasWholeRows = false;

  static int32_t LeftZero(const Quantization& quantization) {
    return quantization.input_zero_point + 128;
  }

  // What the sum of a column's weights adds to its products with a row.
  static __m512i OffsetsOf(__m512i weight_sums, const Quantization& quantization) {
    return _mm512_mullo_epi32(weight_sums, _mm512_set1_epi32(-LeftZero(quantization)));
  }

  // Writes `count` numbers; reads and writes nothing else.
  static Left* PackLeft(const int8_t* from, const int8_t*, int32_t count, const Quantization&,
                        Left* to) {
    const __m512i flip = _mm512_set1_epi8(-128);
    int32_t i = 0;
    for (; i + 64 <= count; i += 64) {
      StoreFull(to + i, _mm512_xor_si512(LoadFull(from + i), flip));
    }
    if (i < count) {
      const __mmask64 rest = FirstBytes(count - i);
      const __m512i codes = _mm512_maskz_loadu_epi8(rest, from + i);
      _mm512_mask_storeu_epi8(to + i, rest, _mm512_xor_si512(codes, flip));
    }
    return to + count;
  }

  // `count` positions that count as zero.
  static Left* FillLeft(Left* to, int32_t count, const Quantization& quantization) {
    const __m512i zero = _mm512_set1_epi8(static_cast<char>(LeftZero(quantization)));
    for (int32_t i = 0; i < count; i += 64) {
      _mm512_mask_storeu_epi8(to + i, FirstBytes(count - i), zero);
    }
    return to + count;
  }

  // What the codes of a nibble stand for, see NibbleTables.
  template <int32_t kBits>
  struct Tables {
    explicit Tables(const NibbleTables& tables)
        : first(Load(tables.values[0])),
          second(Load(tables.values[1])),
          third(Load(tables.values[2])),
          fourth(Load(tables.values[3])) {}

    static __m512i Load(const int8_t* values) {
      return _mm512_broadcast_i32x4(_mm_loadu_si128(reinterpret_cast<const __m128i*>(values)));
    }

    __m512i first, second, third, fourth;
  };

  // Rows of packed codes as PackRight reads them.
  template <int32_t kBits>
  struct CodebookRows {
    CodebookRows(const uint8_t* const* rows, const CodebookColumns& weights)
        : rows(rows), end(weights.weights_end), tables(*weights.tables) {}

    static constexpr int32_t kWeights = 16 * 8 / kBits;  // that 16 bytes of a row hold
    static constexpr int32_t kParts = 8 / kBits;         // fours of weights that 4 bytes hold

    // 16 bytes of the rows c, c + 4, c + 8 and c + 12, those from `end` on zero.
    __m512i Load(int32_t c, int32_t k) const {
      const int32_t at = (k >> 3) * kBits;
      if (end - (rows[kColumns - 1] + at) >= 16) {
        return LoadQuarters(rows[c] + at, rows[c + 4] + at, rows[c + 8] + at, rows[c + 12] + at);
      }
      alignas(16) uint8_t bytes[4][16];
      for (int32_t i = 0; i < 4; ++i) {
        const uint8_t* from = rows[c + 4 * i] + at;
        _mm_store_si128(reinterpret_cast<__m128i*>(bytes[i]),
                        _mm_maskz_loadu_epi8(static_cast<__mmask16>(FirstBytes(end - from)), from));
      }
      return LoadFull(bytes);
    }

    // Four number `part` of the weights that 4 bytes of each of 16 columns hold.
    __m512i Decode(__m512i bytes, int32_t part) const {
      if constexpr (kBits == 4) return _mm512_shuffle_epi8(tables.first, NibblesOf(bytes, part));
      const __m512i nibbles = NibbleOf(bytes, part);
      const __m512i pairs = _mm512_mask_shuffle_epi8(_mm512_shuffle_epi8(tables.first, nibbles),
                                                     kSecondOfTwo, tables.second, nibbles);
      if constexpr (kBits == 2) return pairs;
      const __m512i three = _mm512_mask_shuffle_epi8(pairs, kThirdOfFour, tables.third, nibbles);
      return _mm512_mask_shuffle_epi8(three, kFourthOfFour, tables.fourth, nibbles);
    }

    static constexpr __mmask64 kSecondOfTwo = 0xAAAAAAAAAAAAAAAAu;
    static constexpr __mmask64 kThirdOfFour = 0x4444444444444444u;
    static constexpr __mmask64 kFourthOfFour = 0x8888888888888888u;
    static constexpr __mmask64 kLastTwoOfFour = 0xCCCCCCCCCCCCCCCCu;

    // Of 4 bits: the nibbles of two bytes, each in a byte of its own.
    static __m512i NibblesOf(__m512i bytes, int32_t part) {
      // Every byte of two codes, with a byte of zeros beside it.
      const __m512i spread = part == 0 ? _mm512_set1_epi32(static_cast<int32_t>(0x80018000))
                                       : _mm512_set1_epi32(static_cast<int32_t>(0x80038002));
      const __m512i twos = _mm512_shuffle_epi8(bytes, _mm512_add_epi32(spread, Words()));
      const __m512i both = _mm512_slli_epi32(twos, 4);
      return _mm512_ternarylogic_epi32(twos, both, _mm512_set1_epi8(15), kEitherAndThird);
    }

    // The nibble in which each of four codes lies. Of 2 bits: two nibbles of a byte, each twice; of
    // 1 bit: one nibble four times.
    static __m512i NibbleOf(__m512i bytes, int32_t part) {
      const int32_t byte = kBits == 2 ? part : part / 2;
      const __m512i spread = _mm512_set1_epi32(byte * 0x01010101);
      const __m512i four = _mm512_shuffle_epi8(bytes, _mm512_add_epi32(spread, Words()));
      const __m512i high = _mm512_srli_epi32(four, 4);
      const __mmask64 is_high = kBits == 2 ? kLastTwoOfFour : part % 2 == 0 ? 0 : ~__mmask64{0};
      const __m512i chosen = _mm512_mask_blend_epi8(is_high, four, high);
      return _mm512_and_si512(chosen, _mm512_set1_epi8(15));
    }

    // The first byte of each word of a quarter, in each of its bytes.
    static __m512i Words() {
      return _mm512_broadcast_i32x4(_mm_setr_epi32(0, 0x04040404, 0x08080808, 0x0C0C0C0C));
    }

    const uint8_t* const* rows;
    const uint8_t* end;
    Tables<kBits> tables;
  };

  // (a | b) & c.
  static constexpr int32_t kEitherAndThird = 0xA8;

  // The same for int8 [32 columns][padded_depth].
  struct DenseRows {
    static constexpr int32_t kWeights = 16;
    static constexpr int32_t kParts = 1;

    __m512i Load(int32_t c, int32_t k) const {
      const uint8_t* from = reinterpret_cast<const uint8_t*>(rows) + k;
      const ptrdiff_t next = 4 * static_cast<ptrdiff_t>(pitch);
      from += static_cast<ptrdiff_t>(c) * pitch;
      return LoadQuarters(from, from + next, from + 2 * next, from + 3 * next);
    }

    __m512i Decode(__m512i bytes, int32_t) const { return bytes; }

    const int8_t* rows;
    int32_t pitch;
  };

  // Weights of 4 bytes of each of 16 columns, to fours of depths; adds them to `sum`.
  template <typename Rows>
  static __m512i StoreFours(const Rows& rows, __m512i bytes, Right* to, __m512i sum) {
    for (int32_t part = 0; part < Rows::kParts; ++part) {
      const __m512i weights = rows.Decode(bytes, part);
      StoreFull(to + part * 4 * kColumns, weights);
      sum = _mm512_dpbusd_epi32(sum, _mm512_set1_epi8(1), weights);
    }
    return sum;
  }

  // 16 bytes of each of 16 columns from `c` on, or as many fours of bytes as hold `left` weights.
  template <typename Rows>
  static __m512i PackColumns(const Rows& rows, int32_t c, int32_t k, int32_t left, Right* to,
                             __m512i sum) {
    // 32-bit words: a 4 x 4 transpose in each quarter.
    const __m512i r0 = rows.Load(c, k), r1 = rows.Load(c + 1, k);
    const __m512i r2 = rows.Load(c + 2, k), r3 = rows.Load(c + 3, k);
    const __m512i a0 = _mm512_unpacklo_epi32(r0, r1), a1 = _mm512_unpackhi_epi32(r0, r1);
    const __m512i a2 = _mm512_unpacklo_epi32(r2, r3), a3 = _mm512_unpackhi_epi32(r2, r3);
    constexpr int32_t kStep = Rows::kParts * 4 * kColumns;
    constexpr int32_t kInFour = Rows::kWeights / 4;
    sum = StoreFours(rows, _mm512_unpacklo_epi64(a0, a2), to, sum);
    if (left <= kInFour) return sum;
    sum = StoreFours(rows, _mm512_unpackhi_epi64(a0, a2), to + kStep, sum);
    if (left <= 2 * kInFour) return sum;
    sum = StoreFours(rows, _mm512_unpacklo_epi64(a1, a3), to + 2 * kStep, sum);
    if (left <= 3 * kInFour) return sum;
    return StoreFours(rows, _mm512_unpackhi_epi64(a1, a3), to + 3 * kStep, sum);
  }

  // right int8 [padded_depth / 4][32 columns][4].
  template <typename Rows>
  static void PackRight(const Rows& rows, int32_t padded_depth, const Quantization& quantization,
                        Right* right, int32_t* offsets) {
    __m512i low = _mm512_setzero_si512(), high = low;
    for (int32_t k = 0; k < padded_depth; k += Rows::kWeights, right += Rows::kWeights * kColumns) {
      low = PackColumns(rows, 0, k, padded_depth - k, right, low);
      high = PackColumns(rows, 16, k, padded_depth - k, right + 64, high);
    }
    StoreFull(offsets, OffsetsOf(low, quantization));
    StoreFull(offsets + 16, OffsetsOf(high, quantization));
  }

  // sums int32 [14 rows][32 columns]. Rows lie beside each other, and rows that repeat the one
  // before them are not wanted.
  static void Multiply(const Left* const* rows, const Right* right, int32_t padded_depth, int32_t,
                       int32_t* sums) {
    const auto multiply = rows[7] == rows[6] ? MultiplySevenAvx512 : MultiplyFourteenAvx512;
    multiply(rows[0], padded_depth, right, padded_depth / 16, sums);
  }

  // Weights that Dot takes at a time: 64 bytes of codes.
  template <int32_t kBits>
  static constexpr int32_t DotStep() {
    return 64 * 8 / kBits;
  }

  // Enough for codes of any bits.
  static size_t VectorBytes(int32_t padded_depth) {
    constexpr int32_t kStep = DotStep<1>();
    return static_cast<size_t>((padded_depth + kStep - 1) / kStep) * kStep;
  }

  // A row in the order in which Dot decodes weights: by their place in a byte of codes.
  template <int32_t kBits>
  static void PackVector(const Left* row, int32_t padded_depth, const Quantization& quantization,
                         Right* to) {
    constexpr int32_t kCodes = 8 / kBits;  // in a byte
    constexpr int32_t kBytes = 64 / kCodes;
    const __m512i zero = _mm512_set1_epi8(static_cast<char>(LeftZero(quantization)));
    for (int32_t k = 0; k < padded_depth; k += DotStep<kBits>(), to += DotStep<kBits>()) {
      for (int32_t part = 0; part < kCodes; ++part) {
        const int32_t from = k + 64 * part;
        __m512i numbers = _mm512_mask_loadu_epi8(zero, FirstBytes(padded_depth - from), row + from);
        for (int32_t code = 0; code < kCodes; ++code) {
          StoreLowest<kBits>(numbers, to + 64 * code + kBytes * part);
          numbers = _mm512_srli_epi64(numbers, 8);
        }
      }
    }
  }

  // The lowest byte of each group of as many as there are codes in a byte.
  template <int32_t kBits>
  static void StoreLowest(__m512i numbers, Right* to) {
    if (kBits == 4) {
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm512_cvtepi16_epi8(numbers));
    } else if (kBits == 2) {
      _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm512_cvtepi32_epi8(numbers));
    } else {
      _mm_storel_epi64(reinterpret_cast<__m128i*>(to), _mm512_cvtepi64_epi8(numbers));
    }
  }

  // Products of a vector with rows of weights and, kWithSums, the sums of these.
  struct DotSums {
    __m512i products, weights;
  };

  // Adds the products of 64 numbers.
  template <bool kWithSums>
  static void AddWeights(__m512i weights, const Right* x, DotSums* sums) {
    sums->products = _mm512_dpbusd_epi32(sums->products, LoadFull(x), weights);
    if (!kWithSums) return;
    sums->weights = _mm512_dpbusd_epi32(sums->weights, _mm512_set1_epi8(1), weights);
  }

  // Those of the codes in a nibble of each of 64 bytes.
  template <int32_t kBits, bool kWithSums>
  static void AddNibbles(__m512i nibbles, const Right* x, const Tables<kBits>& tables,
                         DotSums* sums) {
    AddWeights<kWithSums>(_mm512_shuffle_epi8(tables.first, nibbles), x, sums);
    if (kBits == 4) return;
    AddWeights<kWithSums>(_mm512_shuffle_epi8(tables.second, nibbles), x + 64, sums);
    if (kBits == 2) return;
    AddWeights<kWithSums>(_mm512_shuffle_epi8(tables.third, nibbles), x + 128, sums);
    AddWeights<kWithSums>(_mm512_shuffle_epi8(tables.fourth, nibbles), x + 192, sums);
  }

  template <int32_t kBits, bool kWithSums>
  static void AddStep(__m512i bytes, const Right* x, const Tables<kBits>& tables, DotSums* sums) {
    const __m512i nibble = _mm512_set1_epi8(15);
    AddNibbles<kBits, kWithSums>(_mm512_and_si512(bytes, nibble), x, tables, sums);
    AddNibbles<kBits, kWithSums>(_mm512_and_si512(_mm512_srli_epi16(bytes, 4), nibble),
                                 x + DotStep<kBits>() / 2, tables, sums);
  }

  template <bool kWithSums>
  static __m512i Partial(const DotSums& sums, const Quantization& quantization) {
    if (!kWithSums) return sums.products;
    return _mm512_add_epi32(sums.products, OffsetsOf(sums.weights, quantization));
  }

  // The totals of four registers.
  static __m128i Totals(__m512i s0, __m512i s1, __m512i s2, __m512i s3) {
    const auto pairs = [](__m512i a, __m512i b) {
      return _mm512_add_epi32(_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
    };
    const __m512i a = pairs(s0, s1), b = pairs(s2, s3);
    const __m512i quads =
        _mm512_add_epi32(_mm512_unpacklo_epi64(a, b), _mm512_unpackhi_epi64(a, b));
    const __m256i eight =
        _mm256_add_epi32(_mm512_castsi512_si256(quads), _mm512_extracti64x4_epi64(quads, 1));
    return _mm_add_epi32(_mm256_castsi256_si128(eight), _mm256_extracti128_si256(eight, 1));
  }

  // Weights that lie further on in memory, four rows of them, are fetched meanwhile.
  static void Prefetch(const uint8_t* from, ptrdiff_t ahead) {
    _mm_prefetch(reinterpret_cast<const char*>(from) + ahead, _MM_HINT_T1);
  }

  template <int32_t kBits, bool kWithSums>
  __attribute__((noinline)) static void DotRows(const Right* vector, const uint8_t* const* rows,
                                                const CodebookColumns& weights,
                                                const Quantization& quantization, int32_t* sums) {
    const Tables<kBits> tables(*weights.tables);
    const int32_t row_bytes = weights.row_bytes;
    const ptrdiff_t ahead = 4 * static_cast<ptrdiff_t>(row_bytes);
    for (int32_t c = 0; c < kColumns; c += 4) {
      const uint8_t *r0 = rows[c], *r1 = rows[c + 1], *r2 = rows[c + 2], *r3 = rows[c + 3];
      const __m512i zero = _mm512_setzero_si512();
      DotSums s0 = {zero, zero}, s1 = s0, s2 = s0, s3 = s0;
      const Right* x = vector;
      int32_t i = 0;
      for (; i + 64 <= row_bytes; i += 64, x += DotStep<kBits>()) {
        Prefetch(r0 + i, ahead), Prefetch(r1 + i, ahead);
        Prefetch(r2 + i, ahead), Prefetch(r3 + i, ahead);
        AddStep<kBits, kWithSums>(LoadFull(r0 + i), x, tables, &s0);
        AddStep<kBits, kWithSums>(LoadFull(r1 + i), x, tables, &s1);
        AddStep<kBits, kWithSums>(LoadFull(r2 + i), x, tables, &s2);
        AddStep<kBits, kWithSums>(LoadFull(r3 + i), x, tables, &s3);
      }
      if (i < row_bytes) {
        const __mmask64 rest = FirstBytes(row_bytes - i);
        AddStep<kBits, kWithSums>(_mm512_maskz_loadu_epi8(rest, r0 + i), x, tables, &s0);
        AddStep<kBits, kWithSums>(_mm512_maskz_loadu_epi8(rest, r1 + i), x, tables, &s1);
        AddStep<kBits, kWithSums>(_mm512_maskz_loadu_epi8(rest, r2 + i), x, tables, &s2);
        AddStep<kBits, kWithSums>(_mm512_maskz_loadu_epi8(rest, r3 + i), x, tables, &s3);
      }
      _mm_storeu_si128(
          reinterpret_cast<__m128i*>(sums + c),
          Totals(Partial<kWithSums>(s0, quantization), Partial<kWithSums>(s1, quantization),
                 Partial<kWithSums>(s2, quantization), Partial<kWithSums>(s3, quantization)));
    }
  }

  // sums[c] = (vector - zero point) . row c of weights, 32 rows.
  template <int32_t kBits>
  static void Dot(const Right* vector, const uint8_t* const* rows, const CodebookColumns& weights,
                  const Quantization& quantization, int32_t* sums) {
    const auto dot = LeftZero(quantization) == 0 ? DotRows<kBits, false> : DotRows<kBits, true>;
    dot(vector, rows, weights, quantization, sums);
  }
};

}  // namespace
}  // namespace edgeax
