#pragma once  // arch/finish_lanes_avx512.h: sums that lie column by column to codes row by row.

#include "tflite_kernels/arch/finish_avx512.h"

namespace edgeax {
namespace {

// What follows the sums of up to 32 output channels where 16 rows of one channel lie beside each
// other: bias and scale are the same for a whole register, and codes are brought in order as bytes.
struct FinishLanesAvx512 : FinishAvx512 {
  static constexpr int32_t kRows = 16;

  FinishLanesAvx512(const int32_t* bias, const Requantization* factors, const int32_t* offsets,
                    int32_t count, const Quantization& quantization)
      : FinishAvx512(bias, factors, offsets, count, quantization),
        zero(_mm512_set1_epi16(static_cast<int16_t>(quantization.output_zero_point))),
        lowest(_mm512_set1_epi8(static_cast<char>(quantization.output_min))),
        highest(_mm512_set1_epi8(static_cast<char>(quantization.output_max))),
        count(count),
        serves(quantization.rounding == Rounding::kSingle) {
    for (int32_t i = 0; i < count; ++i) {
      const int32_t right = 31 - factors[i].shift;
      start[i] =
          static_cast<int32_t>(static_cast<uint32_t>(bias[i]) + static_cast<uint32_t>(offsets[i]));
      multiplier[i] = factors[i].multiplier;
      // The high halves of products are taken first.
      serves = serves && right >= 32;
      shift[i] = right - 32;
      rounding[i] = serves ? int64_t{1} << (right - 1) : 0;
    }
    for (int32_t i = count; i < kLanes; ++i) start[i] = multiplier[i] = shift[i] = 0;
    for (int32_t i = count; i < kLanes; ++i) rounding[i] = 0;
  }

  // Where `serves`: sums int32 [32][pitch], of which 16 rows go to [16][32].
  void WriteCodes(const int32_t* sums, ptrdiff_t pitch, int8_t* to) const {
    const auto four = [&](int32_t i) { return FourChannels(sums + 4 * i * pitch, pitch, 4 * i); };
    StoreWords(four(0), four(1), four(2), four(3), four(4), four(5), four(6), four(7), to);
  }

  void StoreCodes(const int8_t* codes, int32_t rows, int8_t* output, size_t stride) const {
    const __mmask32 used = count == kLanes ? ~__mmask32{0} : (__mmask32{1} << count) - 1;
    for (int32_t r = 0; r < rows; ++r, codes += kLanes, output += stride) {
      _mm256_mask_storeu_epi8(output, used,
                              _mm256_loadu_si256(reinterpret_cast<const __m256i*>(codes)));
    }
  }

 private:
  // floor(sum * factor + 1/2) of 16 rows of a channel.
  __m512i Scaled(const int32_t* sums, int32_t channel) const {
    const __m512i sum =
        _mm512_add_epi32(_mm512_loadu_si512(sums), _mm512_set1_epi32(start[channel]));
    const __m512i factor = _mm512_set1_epi32(multiplier[channel]);
    const __m512i half = _mm512_set1_epi64(rounding[channel]);
    const auto odd_as_even = static_cast<_MM_PERM_ENUM>(0xF5);
    const __m512i even = _mm512_add_epi64(_mm512_mul_epi32(sum, factor), half);
    const __m512i odd =
        _mm512_add_epi64(_mm512_mul_epi32(_mm512_shuffle_epi32(sum, odd_as_even), factor), half);
    const __m512i high = _mm512_mask_shuffle_epi32(odd, 0x5555, even, odd_as_even);
    return _mm512_srav_epi32(high, _mm512_set1_epi32(shift[channel]));
  }

  // The codes of four channels: a word for each row.
  __m512i FourChannels(const int32_t* sums, ptrdiff_t pitch, int32_t channel) const {
    const __m512i two =
        _mm512_packs_epi32(Scaled(sums, channel), Scaled(sums + pitch, channel + 1));
    const __m512i others = _mm512_packs_epi32(Scaled(sums + 2 * pitch, channel + 2),
                                              Scaled(sums + 3 * pitch, channel + 3));
    // Every step saturates, so what is out of range stays at the right end of it.
    const __m512i bytes =
        _mm512_packs_epi16(_mm512_adds_epi16(two, zero), _mm512_adds_epi16(others, zero));
    const __m512i codes = _mm512_min_epi8(_mm512_max_epi8(bytes, lowest), highest);
    // A quarter has four rows of the first channel, then of the second one.
    const __m128i order = _mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    return _mm512_shuffle_epi8(codes, _mm512_broadcast_i32x4(order));
  }

  // 16 rows of eight words, each given by a register.
  static void StoreWords(__m512i a, __m512i b, __m512i c, __m512i d, __m512i e, __m512i f,
                         __m512i g, __m512i h, int8_t* to) {
    const __m512i ab0 = _mm512_unpacklo_epi32(a, b), ab2 = _mm512_unpackhi_epi32(a, b);
    const __m512i cd0 = _mm512_unpacklo_epi32(c, d), cd2 = _mm512_unpackhi_epi32(c, d);
    const __m512i ef0 = _mm512_unpacklo_epi32(e, f), ef2 = _mm512_unpackhi_epi32(e, f);
    const __m512i gh0 = _mm512_unpacklo_epi32(g, h), gh2 = _mm512_unpackhi_epi32(g, h);
    // Row i, and every fourth one after it.
    StoreRows(_mm512_unpacklo_epi64(ab0, cd0), _mm512_unpacklo_epi64(ef0, gh0), to);
    StoreRows(_mm512_unpackhi_epi64(ab0, cd0), _mm512_unpackhi_epi64(ef0, gh0), to + kLanes);
    StoreRows(_mm512_unpacklo_epi64(ab2, cd2), _mm512_unpacklo_epi64(ef2, gh2), to + 2 * kLanes);
    StoreRows(_mm512_unpackhi_epi64(ab2, cd2), _mm512_unpackhi_epi64(ef2, gh2), to + 3 * kLanes);
  }

  // The halves of four rows, which lie four rows apart.
  static void StoreRows(__m512i left, __m512i right, int8_t* to) {
    const __m512i first = _mm512_setr_epi64(0, 1, 8, 9, 2, 3, 10, 11);
    const __m512i last = _mm512_setr_epi64(4, 5, 12, 13, 6, 7, 14, 15);
    const auto store = [&](__m512i rows, int8_t* at) {
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(at), _mm512_castsi512_si256(rows));
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(at + 4 * kLanes),
                          _mm512_extracti64x4_epi64(rows, 1));
    };
    store(_mm512_permutex2var_epi64(left, first, right), to);
    store(_mm512_permutex2var_epi64(left, last, right), to + 8 * kLanes);
  }

  __m512i zero, lowest, highest;
  int32_t start[kLanes], multiplier[kLanes], shift[kLanes];
  int64_t rounding[kLanes];
  int32_t count;

 public:
  bool serves;
};

}  // namespace
}  // namespace edgeax
