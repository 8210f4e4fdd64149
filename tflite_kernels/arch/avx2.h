#pragma once  // arch/avx2.h: the steps of the drivers on AVX2. Only for files compiled with -mavx2.

#include <immintrin.h>
#include <string.h>

#include "tflite_kernels/arch/matmul.h"
#include "tflite_kernels/arch/transpose_x86.h"

namespace edgeax {
namespace {

inline __m256i LoadWide(const void* from) {
  return _mm256_loadu_si256(static_cast<const __m256i*>(from));
}

inline void StoreWide(void* to, __m256i value) {
  _mm256_storeu_si256(static_cast<__m256i*>(to), value);
}

// The tables that nibbles of codes are looked up in, once per half of a register.
template <int32_t kBits>
struct TablesAvx2 {
  static constexpr int32_t kCodes = 4 / kBits;  // in a nibble

  explicit TablesAvx2(const NibbleTables& tables)
      : first(Load(tables, 0)),
        second(Load(tables, 1 % kCodes)),
        third(Load(tables, 2 % kCodes)),
        fourth(Load(tables, 3 % kCodes)) {}

  static __m256i Load(const NibbleTables& tables, int32_t code) {
    return _mm256_broadcastsi128_si256(
        _mm_loadu_si128(reinterpret_cast<const __m128i*>(tables.values[code])));
  }

  __m256i first, second, third, fourth;
};

inline __m256i LowNibbles(__m256i bytes) { return _mm256_and_si256(bytes, _mm256_set1_epi8(15)); }

inline __m256i HighNibbles(__m256i bytes) { return LowNibbles(_mm256_srli_epi16(bytes, 4)); }

// What follows the sums of up to 16 output channels: bias, scaling, zero point, clamp.
struct FinishAvx2 {
  static constexpr int32_t kLanes = 16;

  // `offsets` are added to the bias; sums wrap around.
  FinishAvx2(const int32_t* bias, const Requantization* factors, const int32_t* offsets,
             int32_t count, const Quantization& quantization)
      : factors(factors),
        quantization(quantization),
        count(count),
        in_vectors(quantization.rounding == Rounding::kSingle) {
    for (int32_t i = 0; i < kLanes; ++i) {
      const Requantization factor = i < count ? factors[i] : Requantization{0, 0};
      const uint32_t offset = static_cast<uint32_t>(offsets[i]);
      start[i] = i < count ? static_cast<int32_t>(static_cast<uint32_t>(bias[i]) + offset) : 0;
      // A factor of one or more may leave int32: rare, and left to core/.
      if (factor.shift > 0) in_vectors = false;
      const int32_t right = 31 - factor.shift;
      Half& half = halves[i / 8][i % 2];
      half.multiplier[i % 8 / 2] = factor.multiplier;
      half.right[i % 8 / 2] = right;
      // AVX2 shifts 64-bit numbers only without sign: they are moved up by 2**63 and back.
      half.rounding[i % 8 / 2] = (uint64_t{1} << 63) + (uint64_t{1} << (right - 1));
      moved[i] = static_cast<uint32_t>((uint64_t{1} << 63) >> right);
    }
  }

  // sums int32 [16]; writes `count` codes.
  void Store(const int32_t* sums, int8_t* output) const {
    Store(LoadWide(sums), LoadWide(sums + 8), output);
  }

  void Store(__m256i sums0, __m256i sums8, int8_t* output) const {
    if (!in_vectors) return StoreOneByOne(sums0, sums8, output);
    // Every step saturates, so what is out of range stays at the right end of it.
    const __m256i words = _mm256_packs_epi32(Scaled(sums0, 0), Scaled(sums8, 1));
    const __m256i zero = _mm256_set1_epi16(static_cast<int16_t>(quantization.output_zero_point));
    // packs works in halves: 0-3 8-11 | 4-7 12-15, put in order before the last one.
    const __m256i ordered =
        _mm256_permute4x64_epi64(_mm256_adds_epi16(words, zero), _MM_SHUFFLE(3, 1, 2, 0));
    const __m128i bytes =
        _mm_packs_epi16(_mm256_castsi256_si128(ordered), _mm256_extracti128_si256(ordered, 1));
    const __m128i low = _mm_set1_epi8(static_cast<char>(quantization.output_min));
    const __m128i high = _mm_set1_epi8(static_cast<char>(quantization.output_max));
    const __m128i codes = _mm_min_epi8(_mm_max_epi8(bytes, low), high);
    if (count == kLanes) {
      _mm_storeu_si128(reinterpret_cast<__m128i*>(output), codes);
      return;
    }
    int8_t all[kLanes];
    _mm_storeu_si128(reinterpret_cast<__m128i*>(all), codes);
    CopyFirst(all, count, output);
  }

 private:
  // The 64-bit numbers of every other channel of eight.
  struct Half {
    int64_t multiplier[4];
    uint64_t rounding[4];
    int64_t right[4];
  };

  void StoreOneByOne(__m256i sums0, __m256i sums8, int8_t* output) const {
    int32_t sums[kLanes];
    StoreWide(sums, sums0);
    StoreWide(sums + 8, sums8);
    for (int32_t i = 0; i < count; ++i) {
      const uint32_t sum = static_cast<uint32_t>(sums[i]) + static_cast<uint32_t>(start[i]);
      output[i] = OutputCode(sum, factors[i], quantization);
    }
  }

  // The low half of floor(sum * factor + 1/2) + moved, for the even 32-bit lanes.
  static __m256i ScaledHalf(__m256i sums, const Half& half) {
    const __m256i product = _mm256_mul_epi32(sums, LoadWide(half.multiplier));
    return _mm256_srlv_epi64(_mm256_add_epi64(product, LoadWide(half.rounding)),
                             LoadWide(half.right));
  }

  // floor(sum * factor + 1/2) of eight channels.
  __m256i Scaled(__m256i sums, int32_t eight) const {
    const __m256i sum = _mm256_add_epi32(sums, LoadWide(start + 8 * eight));
    const __m256i even = ScaledHalf(sum, halves[eight][0]);
    const __m256i odd = ScaledHalf(_mm256_srli_epi64(sum, 32), halves[eight][1]);
    const __m256i both = _mm256_blend_epi32(even, _mm256_slli_epi64(odd, 32), 0xAA);
    return _mm256_sub_epi32(both, LoadWide(moved + 8 * eight));
  }

  Half halves[2][2];
  uint32_t moved[kLanes];
  int32_t start[kLanes];
  const Requantization* factors;
  Quantization quantization;
  int32_t count;
  bool in_vectors;
};

// Activations lie in scratch as int16 with the zero point taken off, weights as int16, so that one
// vpmaddwd multiplies and adds 16 pairs. Padding of the depth is zero on the left.
struct Avx2 {
  using Left = int16_t;
  using Right = int16_t;
  using Finish = FinishAvx2;
  using DepthwiseFinish = FinishAvx2;
  static constexpr int32_t kRows = 6;
  static constexpr int32_t kColumns = 16;
  static constexpr int32_t kDepthStep = 16;
  static constexpr int32_t kFewRows = 3;
  static constexpr bool kHasWholeRows = false;

  // Writes `count` numbers, or a whole number of steps; reads nothing from `end` on.
  static Left* PackLeft(const int8_t* from, const int8_t* end, int32_t count,
                        const Quantization& quantization, Left* to) {
    const __m256i zero = _mm256_set1_epi16(static_cast<int16_t>(quantization.input_zero_point));
    for (int32_t i = 0; i < count; i += kDepthStep) {
      if (end - (from + i) >= kDepthStep) {
        const __m128i codes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from + i));
        StoreWide(to + i, _mm256_sub_epi16(_mm256_cvtepi8_epi16(codes), zero));
        continue;
      }
      for (int32_t k = i; k < count; ++k) {
        to[k] = static_cast<int16_t>(from[k] - quantization.input_zero_point);
      }
      break;
    }
    return to + count;
  }

  // `count` positions that count as zero.
  static Left* FillLeft(Left* to, int32_t count, const Quantization&) {
    for (int32_t i = 0; i < count; ++i) to[i] = 0;
    return to + count;
  }

  // kBytes of packed codes, 8, 4 or 2; those from `end` on are zero.
  template <int32_t kBytes>
  static __m128i LoadBytes(const uint8_t* from, const uint8_t* end) {
    if (end - from < kBytes) {
      int64_t bytes = 0;
      if (end > from) memcpy(&bytes, from, static_cast<size_t>(end - from));
      return _mm_cvtsi64_si128(bytes);
    }
    if (kBytes == 8) return _mm_loadl_epi64(reinterpret_cast<const __m128i*>(from));
    if (kBytes == 4) return _mm_cvtsi32_si128(LoadNumber<int32_t>(from));
    return _mm_cvtsi32_si128(LoadNumber<uint16_t>(from));
  }

  // 16 weights each of two rows, one row in each half.
  template <int32_t kBits>
  static __m256i Decode16(const uint8_t* a, const uint8_t* b, const uint8_t* end,
                          const TablesAvx2<kBits>& tables) {
    const __m256i bytes =
        _mm256_set_m128i(LoadBytes<2 * kBits>(b, end), LoadBytes<2 * kBits>(a, end));
    const __m256i nibbles = _mm256_unpacklo_epi8(LowNibbles(bytes), HighNibbles(bytes));
    const auto find = [&](__m256i table) { return _mm256_shuffle_epi8(table, nibbles); };
    if (kBits == 4) return find(tables.first);
    // The codes of a nibble follow each other.
    const __m256i pairs = _mm256_unpacklo_epi8(find(tables.first), find(tables.second));
    if (kBits == 2) return pairs;
    return _mm256_unpacklo_epi16(pairs,
                                 _mm256_unpacklo_epi8(find(tables.third), find(tables.fourth)));
  }

  // Rows of packed codes as PackRight reads them: 16 weights each of two rows, from `k` on.
  template <int32_t kBits>
  struct CodebookRows {
    CodebookRows(const uint8_t* const* rows, const CodebookColumns& weights)
        : rows(rows), end(weights.weights_end), tables(*weights.tables) {}

    __m256i Load(int32_t a, int32_t b, int32_t k) const {
      const int32_t byte = (k >> 3) * kBits;
      return Decode16(rows[a] + byte, rows[b] + byte, end, tables);
    }

    const uint8_t* const* rows;
    const uint8_t* end;
    TablesAvx2<kBits> tables;
  };

  // The same for int8 [16 columns][padded_depth].
  struct DenseRows {
    __m256i Load(int32_t a, int32_t b, int32_t k) const {
      const int8_t *from_a = weights + a * pitch + k, *from_b = weights + b * pitch + k;
      return _mm256_set_m128i(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from_b)),
                              _mm_loadu_si128(reinterpret_cast<const __m128i*>(from_a)));
    }

    const int8_t* weights;
    ptrdiff_t pitch;
  };

  // The pair (k, k + 1) of 16 columns to int16.
  static void StorePairs(__m256i pairs, Right* to) {
    StoreWide(to, _mm256_cvtepi8_epi16(_mm256_castsi256_si128(pairs)));
    StoreWide(to + 16, _mm256_cvtepi8_epi16(_mm256_extracti128_si256(pairs, 1)));
  }

  // right int16 [padded_depth / 2][16 columns][2].
  template <typename Rows>
  static void PackRight(const Rows& rows, int32_t padded_depth, const Quantization&, Right* right,
                        int32_t* offsets) {
    memset(offsets, 0, kColumns * sizeof(int32_t));
    for (int32_t k = 0; k < padded_depth; k += kDepthStep, right += kDepthStep * kColumns) {
      // Pairs of weights are 16-bit numbers.
      TransposeLanes([&](int32_t i) { return rows.Load(i, i + 8, k); },
                     [&](int32_t i, __m256i pairs) { StorePairs(pairs, right + 32 * i); });
    }
  }

  // Adds the products of one pair of one row with 16 columns.
  static void AddPair(const Left* pair, __m256i w0, __m256i w1, __m256i* sum0, __m256i* sum1) {
    int32_t both;
    memcpy(&both, pair, sizeof(both));
    const __m256i x = _mm256_set1_epi32(both);
    *sum0 = _mm256_add_epi32(*sum0, _mm256_madd_epi16(x, w0));
    *sum1 = _mm256_add_epi32(*sum1, _mm256_madd_epi16(x, w1));
  }

  // sums int32 [6 rows][16 columns]. Not inlined: the loop needs all 16 registers.
  __attribute__((noinline)) static void Multiply(const Left* const* rows, const Right* right,
                                                 int32_t padded_depth, int32_t, int32_t* sums) {
    const Left *r0 = rows[0], *r1 = rows[1], *r2 = rows[2];
    const Left *r3 = rows[3], *r4 = rows[4], *r5 = rows[5];
    // Named one by one: GCC keeps an array of accumulators in memory.
    const __m256i zero = _mm256_setzero_si256();
    __m256i s00 = zero, s01 = zero, s10 = zero, s11 = zero, s20 = zero, s21 = zero;
    __m256i s30 = zero, s31 = zero, s40 = zero, s41 = zero, s50 = zero, s51 = zero;
    for (int32_t k = 0; k < padded_depth; k += 2, right += 2 * kColumns) {
      const __m256i w0 = LoadWide(right), w1 = LoadWide(right + 16);
      AddPair(r0 + k, w0, w1, &s00, &s01);
      AddPair(r1 + k, w0, w1, &s10, &s11);
      AddPair(r2 + k, w0, w1, &s20, &s21);
      AddPair(r3 + k, w0, w1, &s30, &s31);
      AddPair(r4 + k, w0, w1, &s40, &s41);
      AddPair(r5 + k, w0, w1, &s50, &s51);
    }
    StoreWide(sums, s00), StoreWide(sums + 8, s01);
    StoreWide(sums + 16, s10), StoreWide(sums + 24, s11);
    StoreWide(sums + 32, s20), StoreWide(sums + 40, s21);
    StoreWide(sums + 48, s30), StoreWide(sums + 56, s31);
    StoreWide(sums + 64, s40), StoreWide(sums + 72, s41);
    StoreWide(sums + 80, s50), StoreWide(sums + 88, s51);
  }

  // Weights that Dot takes at a time: 32 bytes of codes.
  template <int32_t kBits>
  static constexpr int32_t DotStep() {
    return 32 * 8 / kBits;
  }

  // Enough for codes of any bits.
  static size_t VectorBytes(int32_t padded_depth) {
    constexpr int32_t kStep = DotStep<1>();
    return static_cast<size_t>((padded_depth + kStep - 1) / kStep) * kStep * sizeof(Left);
  }

  // A row in the order in which Dot decodes weights: those of the low nibbles first, by their place
  // in the nibble, of each place those in even bytes first.
  template <int32_t kBits>
  static void PackVector(const Left* row, int32_t padded_depth, const Quantization&, Right* to) {
    constexpr int32_t kCodes = 8 / kBits;  // in a byte
    for (int32_t k = 0; k < padded_depth; k += DotStep<kBits>()) {
      for (int32_t code = 0; code < kCodes; ++code) {
        for (int32_t odd = 0; odd < 2; ++odd) {
          for (int32_t i = 0; i < 16; ++i) {
            const int32_t from = k + (2 * i + odd) * kCodes + code;
            *to++ = from < padded_depth ? row[from] : static_cast<Left>(0);
          }
        }
      }
    }
  }

  static __m256i Load32(const uint8_t* from, const uint8_t* end) {
    if (end - from >= 32) return LoadWide(from);
    uint8_t bytes[32] = {};
    if (end > from) memcpy(bytes, from, static_cast<size_t>(end - from));
    return LoadWide(bytes);
  }

  // Adds the products of `x` with 32 weights to 8 partial sums.
  static __m256i Add32Products(__m256i sum, const Right* x, __m256i weights) {
    const __m256i even = _mm256_srai_epi16(_mm256_slli_epi16(weights, 8), 8);
    const __m256i odd = _mm256_srai_epi16(weights, 8);
    sum = _mm256_add_epi32(sum, _mm256_madd_epi16(even, LoadWide(x)));
    return _mm256_add_epi32(sum, _mm256_madd_epi16(odd, LoadWide(x + 16)));
  }

  // The same with the weights of 32 nibbles.
  template <int32_t kBits>
  static __m256i AddNibbles(__m256i sum, const Right* x, __m256i nibbles,
                            const TablesAvx2<kBits>& tables) {
    const auto find = [&](__m256i table) { return _mm256_shuffle_epi8(table, nibbles); };
    sum = Add32Products(sum, x, find(tables.first));
    if (kBits <= 2) sum = Add32Products(sum, x + 32, find(tables.second));
    if (kBits == 1) sum = Add32Products(sum, x + 64, find(tables.third));
    if (kBits == 1) sum = Add32Products(sum, x + 96, find(tables.fourth));
    return sum;
  }

  // The same with the weights of 32 bytes.
  template <int32_t kBits>
  static __m256i AddBytes(__m256i sum, const Right* x, __m256i bytes,
                          const TablesAvx2<kBits>& tables) {
    sum = AddNibbles(sum, x, LowNibbles(bytes), tables);
    return AddNibbles(sum, x + DotStep<kBits>() / 2, HighNibbles(bytes), tables);
  }

  // sums[c] = vector . row c of weights, 16 rows.
  template <int32_t kBits>
  __attribute__((noinline)) static void Dot(const Right* vector, const uint8_t* const* rows,
                                            const CodebookColumns& weights, const Quantization&,
                                            int32_t* sums) {
    constexpr int32_t kStep = DotStep<kBits>();
    const TablesAvx2<kBits> tables(*weights.tables);
    const int32_t steps = (weights.depth + kStep - 1) / kStep;
    for (int32_t c = 0; c < kColumns; c += 4) {
      const uint8_t *r0 = rows[c], *r1 = rows[c + 1], *r2 = rows[c + 2], *r3 = rows[c + 3];
      __m256i s0 = _mm256_setzero_si256(), s1 = s0, s2 = s0, s3 = s0;
      // The last of the rows ends last.
      const ptrdiff_t whole = (weights.weights_end - r3) / 32;
      int32_t i = 0;
      const Right* x = vector;
      for (; i < steps && i < whole; ++i, x += kStep) {
        s0 = AddBytes(s0, x, LoadWide(r0 + 32 * i), tables);
        s1 = AddBytes(s1, x, LoadWide(r1 + 32 * i), tables);
        s2 = AddBytes(s2, x, LoadWide(r2 + 32 * i), tables);
        s3 = AddBytes(s3, x, LoadWide(r3 + 32 * i), tables);
      }
      for (; i < steps; ++i, x += kStep) {
        s0 = AddBytes(s0, x, Load32(r0 + 32 * i, weights.weights_end), tables);
        s1 = AddBytes(s1, x, Load32(r1 + 32 * i, weights.weights_end), tables);
        s2 = AddBytes(s2, x, Load32(r2 + 32 * i, weights.weights_end), tables);
        s3 = AddBytes(s3, x, Load32(r3 + 32 * i, weights.weights_end), tables);
      }
      const __m256i quads = _mm256_hadd_epi32(_mm256_hadd_epi32(s0, s1), _mm256_hadd_epi32(s2, s3));
      const __m128i four =
          _mm_add_epi32(_mm256_castsi256_si128(quads), _mm256_extracti128_si256(quads, 1));
      _mm_storeu_si128(reinterpret_cast<__m128i*>(sums + c), four);
    }
  }

  // ---- Depthwise: 16 channels, two taps per vpmaddwd.

  using DepthwiseWeight = int16_t;

  // Two taps of 16 channels, the pairs of channels 0-3 8-11, then of 4-7 12-15, as the halves of
  // registers are interleaved. Adds the weights to `sums`.
  template <int32_t kBits>
  static void DecodeDepthwise(const uint8_t* first, const uint8_t* second,
                              const NibbleTables& tables, DepthwiseWeight* to, int32_t* sums) {
    const __m256i both = Decode16(first, second, second + 8, TablesAvx2<kBits>(tables));
    const __m256i a = _mm256_cvtepi8_epi16(_mm256_castsi256_si128(both));
    const __m256i b = _mm256_cvtepi8_epi16(_mm256_extracti128_si256(both, 1));
    StoreWide(to, _mm256_unpacklo_epi16(a, b));
    StoreWide(to + 16, _mm256_unpackhi_epi16(a, b));
    const __m256i pair_sum = _mm256_add_epi16(a, b);
    const __m256i low = _mm256_cvtepi16_epi32(_mm256_castsi256_si128(pair_sum));
    const __m256i high = _mm256_cvtepi16_epi32(_mm256_extracti128_si256(pair_sum, 1));
    StoreWide(sums, _mm256_add_epi32(LoadWide(sums), low));
    StoreWide(sums + 8, _mm256_add_epi32(LoadWide(sums + 8), high));
  }

  static __m256i Load16Inputs(const int8_t* from) {
    return _mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
  }

  // 16 channels from `channel` on, zero point not taken off.
  static void DepthwiseBlock(const int8_t* const* taps, int32_t tap_count, int32_t channel,
                             const DepthwiseWeight* weights, bool, const DepthwiseFinish& finish,
                             int8_t* output) {
    __m256i even = _mm256_setzero_si256(), odd = even;
    for (int32_t t = 0; t < tap_count; t += 2, weights += 32) {
      const __m256i a = Load16Inputs(taps[t] + channel);
      const __m256i b = Load16Inputs(taps[t + 1] + channel);
      even =
          _mm256_add_epi32(even, _mm256_madd_epi16(_mm256_unpacklo_epi16(a, b), LoadWide(weights)));
      odd = _mm256_add_epi32(
          odd, _mm256_madd_epi16(_mm256_unpackhi_epi16(a, b), LoadWide(weights + 16)));
    }
    finish.Store(_mm256_permute2x128_si256(even, odd, 0x20),
                 _mm256_permute2x128_si256(even, odd, 0x31), output);
  }
};

}  // namespace
}  // namespace edgeax
