#pragma once  // arch/sparse_avx512.h: the steps of the sparse driver on AVX-512 with VNNI.

#include "tflite_kernels/arch/avx512.h"
#include "tflite_kernels/arch/expand_x86.h"
#include "tflite_kernels/arch/finish_lanes_avx512.h"
#include "tflite_kernels/arch/sparse_matmul.h"

namespace edgeax {
namespace {

// Registers of 128 or 512 bits, for the rows that a step serves.
struct Rows16 {
  using Vector = __m128i;
  static Vector Load(const void* from) {
    return _mm_loadu_si128(static_cast<const __m128i*>(from));
  }
  static Vector Low8(Vector a, Vector b) { return _mm_unpacklo_epi8(a, b); }
  static Vector High8(Vector a, Vector b) { return _mm_unpackhi_epi8(a, b); }
  static Vector Low16(Vector a, Vector b) { return _mm_unpacklo_epi16(a, b); }
  static Vector High16(Vector a, Vector b) { return _mm_unpackhi_epi16(a, b); }
  static Vector Broadcast(int32_t four) { return _mm_set1_epi32(four); }
  static Vector Zero() { return _mm_setzero_si128(); }
  static Vector Add(Vector sum, Vector x, Vector w) { return _mm_dpbusd_epi32(sum, x, w); }

  // Sums of the rows 0-3, 4-7, 8-11 and 12-15.
  static void Store(Vector a, Vector b, Vector c, Vector d, int32_t* to) {
    __m128i* const out = reinterpret_cast<__m128i*>(to);
    _mm_storeu_si128(out, a), _mm_storeu_si128(out + 1, b);
    _mm_storeu_si128(out + 2, c), _mm_storeu_si128(out + 3, d);
  }
};

struct Rows64 {
  using Vector = __m512i;
  static Vector Load(const void* from) { return LoadFull(from); }
  static Vector Low8(Vector a, Vector b) { return _mm512_unpacklo_epi8(a, b); }
  static Vector High8(Vector a, Vector b) { return _mm512_unpackhi_epi8(a, b); }
  static Vector Low16(Vector a, Vector b) { return _mm512_unpacklo_epi16(a, b); }
  static Vector High16(Vector a, Vector b) { return _mm512_unpackhi_epi16(a, b); }
  static Vector Broadcast(int32_t four) { return _mm512_set1_epi32(four); }
  static Vector Zero() { return _mm512_setzero_si512(); }
  static Vector Add(Vector sum, Vector x, Vector w) { return _mm512_dpbusd_epi32(sum, x, w); }

  // The same of each 16 rows, one in each quarter.
  static void Store(Vector a, Vector b, Vector c, Vector d, int32_t* to) {
    const auto store = [&](int32_t quarter, __m128i w, __m128i x, __m128i y, __m128i z) {
      Rows16::Store(w, x, y, z, to + 16 * quarter);
    };
    store(0, _mm512_castsi512_si128(a), _mm512_castsi512_si128(b), _mm512_castsi512_si128(c),
          _mm512_castsi512_si128(d));
    store(1, _mm512_extracti32x4_epi32(a, 1), _mm512_extracti32x4_epi32(b, 1),
          _mm512_extracti32x4_epi32(c, 1), _mm512_extracti32x4_epi32(d, 1));
    store(2, _mm512_extracti32x4_epi32(a, 2), _mm512_extracti32x4_epi32(b, 2),
          _mm512_extracti32x4_epi32(c, 2), _mm512_extracti32x4_epi32(d, 2));
    store(3, _mm512_extracti32x4_epi32(a, 3), _mm512_extracti32x4_epi32(b, 3),
          _mm512_extracti32x4_epi32(c, 3), _mm512_extracti32x4_epi32(d, 3));
  }
};

struct SparseAvx512 : Avx512, ExpandX86 {
  using LanesFinish = FinishLanesAvx512;
  using ListWeight = int8_t;
  using VectorNumber = uint8_t;         // 128 added, as on the left
  static constexpr int32_t kGroup = 4;  // depths that vpdpbusd takes at once
  static constexpr int32_t kFewSparseRows = 3;
  static constexpr bool kDotsMaskOfFours = true;
  static constexpr bool kUsesPlanes = true;
  static constexpr bool kTransposesCodes = true;
  static constexpr int32_t kSharedColumns = 4;
  static constexpr bool kFinishesLanes = true;
  static constexpr bool kTakesBalanced = false;
  static constexpr int32_t kSumRows = 16;
  // The Lanes form serves up to so many weights of a hundred that are left.
  static constexpr int32_t kLanesPercent = 8;
  static constexpr int32_t kGroupedLanesPercent = 42;

  // The Vector form reads weights of a mask with their zeros from so many of a hundred on.
  static constexpr int32_t kExpandPercent = 10;

  static int32_t OffsetOf(int32_t weight_sum, const Quantization& quantization) {
    return static_cast<int32_t>(0u - static_cast<uint32_t>(weight_sum) *
                                         static_cast<uint32_t>(LeftZero(quantization)));
  }

  static ListSums CopyWeights(const int8_t* values, int32_t count, ListWeight* to) {
    memcpy(to, values, static_cast<size_t>(count));
    return {SumOf(values, count), false};
  }

  static int32_t SumOf(const int8_t* values, int32_t count) {
    const __m512i ones = _mm512_set1_epi8(1);
    __m512i sum = _mm512_setzero_si512();
    int32_t i = 0;
    for (; i + 64 <= count; i += 64) sum = _mm512_dpbusd_epi32(sum, ones, LoadFull(values + i));
    const __m512i rest = _mm512_maskz_loadu_epi8(FirstBytes(count - i), values + i);
    return TotalOf(_mm512_dpbusd_epi32(sum, ones, rest));
  }

  static int32_t TotalOf(__m512i sums) {
    const __m256i eight =
        _mm256_add_epi32(_mm512_castsi512_si256(sums), _mm512_extracti64x4_epi64(sums, 1));
    __m128i sum = _mm_add_epi32(_mm256_castsi256_si128(eight), _mm256_extracti128_si256(eight, 1));
    sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0x4E));
    sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0xB1));
    return _mm_cvtsi128_si32(sum);
  }

  // What the form of vectors adds to the sum of a column.
  static int32_t VectorOffset(const int8_t* values, int32_t count,
                              const Quantization& quantization) {
    if (LeftZero(quantization) == 0) return 0;
    return OffsetOf(SumOf(values, count), quantization);
  }

  static void Center(const Left* row, int32_t padded_depth, const Quantization&, VectorNumber* to) {
    memcpy(to, row, static_cast<size_t>(padded_depth));
  }

  // 8 rows of 8 depths or of 8 groups, `from_pitch` numbers apart, to so many depths or groups of
  // 8 rows.
  template <int32_t kGroupSize>
  static void Transpose(const Left* from, ptrdiff_t from_pitch, Left* to, ptrdiff_t to_pitch) {
    if (kGroupSize == 1) return TransposeBytes(from, from_pitch, to, to_pitch);
    TransposeWords(from, from_pitch, to, to_pitch);
  }

  static void TransposeBytes(const Left* from, ptrdiff_t from_pitch, Left* to, ptrdiff_t to_pitch) {
    const auto pair = [&](int32_t i) {
      const auto load = [&](int32_t r) {
        return _mm_loadl_epi64(reinterpret_cast<const __m128i*>(from + r * from_pitch));
      };
      return _mm_unpacklo_epi8(load(i), load(i + 1));
    };
    const __m128i a0 = pair(0), a1 = pair(2), a2 = pair(4), a3 = pair(6);
    const __m128i b0 = _mm_unpacklo_epi16(a0, a1), b1 = _mm_unpackhi_epi16(a0, a1);
    const __m128i b2 = _mm_unpacklo_epi16(a2, a3), b3 = _mm_unpackhi_epi16(a2, a3);
    const auto store = [&](int32_t i, __m128i two) {
      _mm_storel_epi64(reinterpret_cast<__m128i*>(to + i * to_pitch), two);
      _mm_storel_epi64(reinterpret_cast<__m128i*>(to + (i + 1) * to_pitch),
                       _mm_unpackhi_epi64(two, two));
    };
    store(0, _mm_unpacklo_epi32(b0, b2)), store(2, _mm_unpackhi_epi32(b0, b2));
    store(4, _mm_unpacklo_epi32(b1, b3)), store(6, _mm_unpackhi_epi32(b1, b3));
  }

  // 8 rows of 32 codes, 128 added, to 8 groups of 8 rows.
  static void TransposeCodes(const int8_t* from, ptrdiff_t from_pitch, Left* to,
                             ptrdiff_t to_pitch) {
    TransposeWords(from, from_pitch, to, to_pitch, _mm256_set1_epi8(-128));
  }

  // 8 x 8 words of 32 bits, rows so many bytes apart, with the bits of `flip` turned over.
  static void TransposeWords(const void* from, ptrdiff_t from_pitch, void* to, ptrdiff_t to_pitch,
                             __m256i flip = _mm256_setzero_si256()) {
    TransposeHalves(from, from_pitch, to, to_pitch, flip);
    TransposeHalves(static_cast<const uint8_t*>(from) + 16, from_pitch,
                    static_cast<uint8_t*>(to) + 4 * to_pitch, to_pitch, flip);
  }

  // 4 words of each of 8 rows, the first four of them in the lower halves of registers.
  static void TransposeHalves(const void* from, ptrdiff_t from_pitch, void* to, ptrdiff_t to_pitch,
                              __m256i flip) {
    const auto load = [&](int32_t i) {
      const uint8_t* const low = static_cast<const uint8_t*>(from) + i * from_pitch;
      const __m256i both = _mm256_inserti128_si256(_mm256_castsi128_si256(Rows16::Load(low)),
                                                   Rows16::Load(low + 4 * from_pitch), 1);
      return _mm256_xor_si256(both, flip);
    };
    const auto store = [&](int32_t i, __m256i value) {
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(static_cast<uint8_t*>(to) + i * to_pitch),
                          value);
    };
    const __m256i r0 = load(0), r1 = load(1), r2 = load(2), r3 = load(3);
    const __m256i a0 = _mm256_unpacklo_epi32(r0, r1), a1 = _mm256_unpackhi_epi32(r0, r1);
    const __m256i a2 = _mm256_unpacklo_epi32(r2, r3), a3 = _mm256_unpackhi_epi32(r2, r3);
    store(0, _mm256_unpacklo_epi64(a0, a2)), store(1, _mm256_unpackhi_epi64(a0, a2));
    store(2, _mm256_unpacklo_epi64(a1, a3)), store(3, _mm256_unpackhi_epi64(a1, a3));
  }

  // 16 x 16 words of 32 bits, rows so many words apart.
  static void TransposeSixteen(const int32_t* from, ptrdiff_t from_pitch, int32_t* to,
                               ptrdiff_t to_pitch) {
    // In each quarter four rows of the result, then the quarters of four registers.
    const auto quarters = [&](int32_t i, __m512i* out) {
      const int32_t* at = from + i * from_pitch;
      const __m512i r0 = LoadFull(at), r1 = LoadFull(at + from_pitch);
      const __m512i r2 = LoadFull(at + 2 * from_pitch), r3 = LoadFull(at + 3 * from_pitch);
      const __m512i a0 = _mm512_unpacklo_epi32(r0, r1), a1 = _mm512_unpackhi_epi32(r0, r1);
      const __m512i a2 = _mm512_unpacklo_epi32(r2, r3), a3 = _mm512_unpackhi_epi32(r2, r3);
      out[0] = _mm512_unpacklo_epi64(a0, a2), out[1] = _mm512_unpackhi_epi64(a0, a2);
      out[2] = _mm512_unpacklo_epi64(a1, a3), out[3] = _mm512_unpackhi_epi64(a1, a3);
    };
    __m512i q0[4], q1[4], q2[4], q3[4];
    quarters(0, q0), quarters(4, q1), quarters(8, q2), quarters(12, q3);
    for (int32_t i = 0; i < 4; ++i) {
      const __m512i a0 = _mm512_shuffle_i32x4(q0[i], q1[i], 0x88);
      const __m512i a1 = _mm512_shuffle_i32x4(q0[i], q1[i], 0xDD);
      const __m512i a2 = _mm512_shuffle_i32x4(q2[i], q3[i], 0x88);
      const __m512i a3 = _mm512_shuffle_i32x4(q2[i], q3[i], 0xDD);
      StoreFull(to + i * to_pitch, _mm512_shuffle_i32x4(a0, a2, 0x88));
      StoreFull(to + (i + 4) * to_pitch, _mm512_shuffle_i32x4(a1, a3, 0x88));
      StoreFull(to + (i + 8) * to_pitch, _mm512_shuffle_i32x4(a0, a2, 0xDD));
      StoreFull(to + (i + 12) * to_pitch, _mm512_shuffle_i32x4(a1, a3, 0xDD));
    }
  }

  // sums int32 [32 columns][pitch], of which 16 rows go to [16 rows][32 columns].
  static void TransposeSums(const int32_t* sums, ptrdiff_t pitch, int32_t* to) {
    TransposeSixteen(sums, pitch, to, kColumns);
    TransposeSixteen(sums + 16 * pitch, pitch, to + 16, kColumns);
  }

  // The numbers of a table that stand where a mask of `count` bits has ones, to `to` and up to 15
  // more. Reads whole sixteens of the table. Returns how many.
  static int32_t SelectByMask(const int32_t* table, const uint8_t* mask, int32_t count,
                              int32_t* to) {
    int32_t* const start = to;
    for (int32_t i = 0; i < count; i += 16, mask += 2) {
      const int32_t left_over = count - i;
      const uint32_t second = left_over > 8 ? mask[1] : 0;
      const uint32_t spare = left_over < 16 ? 0xFFFFu >> (16 - left_over) : 0xFFFFu;
      const uint32_t bits = (mask[0] | second << 8) & spare;
      StoreFull(to, _mm512_maskz_compress_epi32(static_cast<__mmask16>(bits), LoadFull(table + i)));
      to += __builtin_popcount(bits);
    }
    return static_cast<int32_t>(to - start);
  }

  // sums int32 [16 * kParts rows] of the products of a list, `count` a multiple of 4.
  template <int32_t kGroupSize, int32_t kParts>
  static void AddLanes(const Left* lanes, const int32_t* offsets, const ListWeight* weights,
                       int32_t count, bool, int32_t* to) {
    if (kGroupSize == 4) return AddGroups<kParts>(lanes, offsets, weights, count, to);
    if (kParts == 4) return AddSingles<Rows64>(lanes, offsets, weights, count, to);
    for (int32_t part = 0; part < kParts; ++part) {
      AddSingles<Rows16>(lanes + 16 * part, offsets, weights, count, to + 16 * part);
    }
  }

  static int32_t LoadFour(const ListWeight* weights) {
    int32_t four;
    memcpy(&four, weights, sizeof(four));
    return four;
  }

  // Fours of depths of 16 * kParts rows. Named one by one: GCC keeps an array of accumulators in
  // memory.
  template <int32_t kParts>
  __attribute__((noinline)) static void AddGroups(const Left* lanes, const int32_t* offsets,
                                                  const ListWeight* weights, int32_t count,
                                                  int32_t* to) {
    const __m512i zero = _mm512_setzero_si512();
    // Two sums for each part: vpdpbusd takes longer than there are parts.
    __m512i s0 = zero, s1 = zero, s2 = zero, s3 = zero, t0 = zero, t1 = zero, t2 = zero, t3 = zero;
    for (int32_t i = 0; i < count; i += 2) {
      const Left *a = lanes + offsets[i], *b = lanes + offsets[i + 1];
      const __m512i v = _mm512_set1_epi32(LoadFour(weights + 4 * i));
      const __m512i w = _mm512_set1_epi32(LoadFour(weights + 4 * i + 4));
      s0 = _mm512_dpbusd_epi32(s0, LoadFull(a), v);
      t0 = _mm512_dpbusd_epi32(t0, LoadFull(b), w);
      if (kParts > 1) s1 = _mm512_dpbusd_epi32(s1, LoadFull(a + 64), v);
      if (kParts > 1) t1 = _mm512_dpbusd_epi32(t1, LoadFull(b + 64), w);
      if (kParts > 2) s2 = _mm512_dpbusd_epi32(s2, LoadFull(a + 128), v);
      if (kParts > 2) t2 = _mm512_dpbusd_epi32(t2, LoadFull(b + 128), w);
      if (kParts > 2) s3 = _mm512_dpbusd_epi32(s3, LoadFull(a + 192), v);
      if (kParts > 2) t3 = _mm512_dpbusd_epi32(t3, LoadFull(b + 192), w);
    }
    StoreFull(to, _mm512_add_epi32(s0, t0));
    if (kParts > 1) StoreFull(to + 16, _mm512_add_epi32(s1, t1));
    if (kParts > 2) StoreFull(to + 32, _mm512_add_epi32(s2, t2));
    if (kParts > 2) StoreFull(to + 48, _mm512_add_epi32(s3, t3));
  }

  // The sums of a column.
  template <int32_t kParts>
  struct PartSums {
    __m512i first = _mm512_setzero_si512(), second = first, third = first, fourth = first;

    void Add(__m512i a, __m512i b, __m512i c, __m512i d, const ListWeight* weights) {
      const __m512i w = _mm512_set1_epi32(LoadFour(weights));
      first = _mm512_dpbusd_epi32(first, a, w);
      if (kParts > 1) second = _mm512_dpbusd_epi32(second, b, w);
      if (kParts > 2) third = _mm512_dpbusd_epi32(third, c, w);
      if (kParts > 2) fourth = _mm512_dpbusd_epi32(fourth, d, w);
    }

    void Store(int32_t* to) const {
      StoreFull(to, first);
      if (kParts > 1) StoreFull(to + 16, second);
      if (kParts > 2) StoreFull(to + 32, third);
      if (kParts > 2) StoreFull(to + 48, fourth);
    }
  };

  // What AddGroups does for kSharedColumns columns whose lists have the same offsets: their weights
  // lie `pitch` numbers apart, their sums `to_pitch`.
  template <int32_t kParts>
  __attribute__((noinline)) static void AddShared(const Left* lanes, const int32_t* offsets,
                                                  const ListWeight* weights, ptrdiff_t pitch,
                                                  int32_t count, int32_t* to, ptrdiff_t to_pitch) {
    if (kParts == 1) return AddShared16(lanes, offsets, weights, pitch, count, to, to_pitch);
    PartSums<kParts> s0, s1, s2, s3;
    for (int32_t i = 0; i < count; ++i, weights += 4) {
      const Left* from = lanes + offsets[i];
      const __m512i a = LoadFull(from), b = kParts > 1 ? LoadFull(from + 64) : a;
      const __m512i c = kParts > 2 ? LoadFull(from + 128) : a;
      const __m512i d = kParts > 2 ? LoadFull(from + 192) : a;
      s0.Add(a, b, c, d, weights), s1.Add(a, b, c, d, weights + pitch);
      s2.Add(a, b, c, d, weights + 2 * pitch), s3.Add(a, b, c, d, weights + 3 * pitch);
    }
    s0.Store(to), s1.Store(to + to_pitch);
    s2.Store(to + 2 * to_pitch), s3.Store(to + 3 * to_pitch);
  }

  // Sums of the even and of the odd entries: vpdpbusd takes longer than there are columns.
  static void AddShared16(const Left* lanes, const int32_t* offsets, const ListWeight* weights,
                          ptrdiff_t pitch, int32_t count, int32_t* to, ptrdiff_t to_pitch) {
    PartSums<1> even0, even1, even2, even3, odd0, odd1, odd2, odd3;
    const auto add = [&](int32_t i, PartSums<1>* s0, PartSums<1>* s1, PartSums<1>* s2,
                         PartSums<1>* s3) {
      const __m512i a = LoadFull(lanes + offsets[i]);
      const ListWeight* const w = weights + 4 * i;
      s0->Add(a, a, a, a, w), s1->Add(a, a, a, a, w + pitch);
      s2->Add(a, a, a, a, w + 2 * pitch), s3->Add(a, a, a, a, w + 3 * pitch);
    };
    int32_t i = 0;
    for (; i + 2 <= count; i += 2) {
      add(i, &even0, &even1, &even2, &even3);
      add(i + 1, &odd0, &odd1, &odd2, &odd3);
    }
    if (i < count) add(i, &even0, &even1, &even2, &even3);
    StoreFull(to, _mm512_add_epi32(even0.first, odd0.first));
    StoreFull(to + to_pitch, _mm512_add_epi32(even1.first, odd1.first));
    StoreFull(to + 2 * to_pitch, _mm512_add_epi32(even2.first, odd2.first));
    StoreFull(to + 3 * to_pitch, _mm512_add_epi32(even3.first, odd3.first));
  }

  // One weight each of four depths, whose numbers are brought beside each other.
  template <typename Wide>
  __attribute__((noinline)) static void AddSingles(const Left* lanes, const int32_t* offsets,
                                                   const ListWeight* weights, int32_t count,
                                                   int32_t* to) {
    auto a = Wide::Zero(), b = a, c = a, d = a;
    for (int32_t i = 0; i < count; i += 4) {
      const auto x0 = Wide::Load(lanes + offsets[i]), x1 = Wide::Load(lanes + offsets[i + 1]);
      const auto x2 = Wide::Load(lanes + offsets[i + 2]), x3 = Wide::Load(lanes + offsets[i + 3]);
      const auto w = Wide::Broadcast(LoadFour(weights + i));
      const auto low01 = Wide::Low8(x0, x1), high01 = Wide::High8(x0, x1);
      const auto low23 = Wide::Low8(x2, x3), high23 = Wide::High8(x2, x3);
      a = Wide::Add(a, Wide::Low16(low01, low23), w);
      b = Wide::Add(b, Wide::High16(low01, low23), w);
      c = Wide::Add(c, Wide::Low16(high01, high23), w);
      d = Wide::Add(d, Wide::High16(high01, high23), w);
    }
    Wide::Store(a, b, c, d, to);
  }

  // The products of a vector with the weights of a mask.
  struct MaskSum {
    __m128i sum = _mm_setzero_si128();

    // 16 more; returns the next value.
    const int8_t* Add16(const VectorNumber* vector, const uint8_t* mask, const int8_t* values) {
      const __m128i weights = Expand(mask, &values);
      sum =
          _mm_dpbusd_epi32(sum, _mm_loadu_si128(reinterpret_cast<const __m128i*>(vector)), weights);
      return values;
    }

    int32_t Total() const { return TotalOf(_mm512_zextsi128_si512(sum)); }
  };

  // The products of a vector, less the zero point, with the blocks of 4 of a column.
  __attribute__((noinline)) static int32_t DotMaskOfFours(const VectorNumber* vector, int32_t depth,
                                                          const uint8_t* mask, const int8_t* values,
                                                          const Quantization& quantization) {
    const int32_t blocks = (depth + 3) / 4;
    const __m512i zero = _mm512_setzero_si512(), ones = _mm512_set1_epi8(1);
    __m512i p0 = zero, p1 = zero, p2 = zero, p3 = zero, w0 = zero, w1 = zero, w2 = zero, w3 = zero;
    // Adds 16 blocks, of which `left` says which ones are left and which are all that is read.
    const auto add = [&](uint32_t left, __m512i numbers, __m512i* products, __m512i* sum) {
      const __m512i fours = _mm512_maskz_expandloadu_epi32(static_cast<__mmask16>(left), values);
      values += 4 * __builtin_popcount(left);
      // GCC 12 would move every sum to another register and back.
      __asm__("vpdpbusd %2, %1, %0" : "+v"(*products) : "v"(numbers), "v"(fours));
      __asm__("vpdpbusd %2, %1, %0" : "+v"(*sum) : "v"(ones), "v"(fours));
    };
    int32_t i = 0;
    for (; i + 64 <= blocks; i += 64, mask += 8, vector += 256) {
      uint64_t bits;
      memcpy(&bits, mask, sizeof(bits));
      // A page ahead: what prefetches by itself leaves half of the memory's speed unused.
      _mm_prefetch(reinterpret_cast<const char*>(values) + 4096, _MM_HINT_T0);
      _mm_prefetch(reinterpret_cast<const char*>(mask) + 512, _MM_HINT_T0);
      add(bits & 0xFFFF, LoadFull(vector), &p0, &w0);
      add(bits >> 16 & 0xFFFF, LoadFull(vector + 64), &p1, &w1);
      add(bits >> 32 & 0xFFFF, LoadFull(vector + 128), &p2, &w2);
      add(static_cast<uint32_t>(bits >> 48), LoadFull(vector + 192), &p3, &w3);
    }
    for (; i < blocks; i += 8, ++mask, vector += 32) {
      const int32_t left_over = blocks - i < 8 ? blocks - i : 8;
      const uint32_t bits = *mask & ((1u << left_over) - 1);
      uint8_t numbers[64];
      memcpy(numbers, vector, 32);
      memset(numbers + 32, 0, 32);
      add(bits, LoadFull(numbers), &p0, &w0);
    }
    const DotSums all = {_mm512_add_epi32(_mm512_add_epi32(p0, p1), _mm512_add_epi32(p2, p3)),
                         _mm512_add_epi32(_mm512_add_epi32(w0, w1), _mm512_add_epi32(w2, w3))};
    return TotalOf(Partial<true>(all, quantization));
  }

  // Numbers that 16 weights meet.
  template <int32_t kBlock>
  static __m128i Gather16(const VectorNumber* vector, const int32_t* at) {
    if (kBlock == 16) return _mm_loadu_si128(reinterpret_cast<const __m128i*>(vector + at[0]));
    int64_t halves[2];
    if (kBlock == 8) {
      memcpy(&halves[0], vector + at[0], 8);
      memcpy(&halves[1], vector + at[1], 8);
    } else {
      int32_t words[4];
      for (int32_t i = 0; i < 4; ++i) memcpy(&words[i], vector + at[i], 4);
      return _mm_setr_epi32(words[0], words[1], words[2], words[3]);
    }
    return _mm_set_epi64x(halves[1], halves[0]);
  }

  // Sum of the products of `count` blocks.
  template <int32_t kBlock>
  static int32_t DotBlocks(const VectorNumber* vector, const int32_t* offsets, const int8_t* values,
                           int32_t count) {
    constexpr int32_t kBlocks = 16 / kBlock;
    __m128i sum0 = _mm_setzero_si128(), sum1 = sum0;
    const auto add = [&](__m128i sum, int32_t at, const int8_t* from) {
      return _mm_dpbusd_epi32(sum, Gather16<kBlock>(vector, offsets + at), Rows16::Load(from));
    };
    int32_t i = 0;
    for (; i + 2 * kBlocks <= count; i += 2 * kBlocks, values += 32) {
      sum0 = add(sum0, i, values);
      sum1 = add(sum1, i + kBlocks, values + 16);
    }
    sum0 = _mm_add_epi32(sum0, sum1);
    if (i + kBlocks <= count) {
      sum0 = add(sum0, i, values);
      i += kBlocks;
      values += 16;
    }
    int32_t total = TotalOf(_mm512_zextsi128_si512(sum0));
    for (; i < count; ++i, values += kBlock) {
      const VectorNumber* x = vector + offsets[i];
      for (int32_t k = 0; k < kBlock; ++k) total += x[k] * values[k];
    }
    return total;
  }
};

}  // namespace
}  // namespace edgeax
