#pragma once  // arch/grouped_avx512.h: the steps of arch/grouped_matmul.h on AVX-512 with VNNI.

#include "tflite_kernels/arch/avx512.h"
#include "tflite_kernels/arch/grouped_matmul.h"

namespace edgeax {
namespace {

struct GroupedAvx512 : Avx512 {
  static constexpr int32_t kBlock = 64;
  static constexpr int32_t kDepthStep = kBlock;

  // A table of 16 bytes for each quarter of a block.
  template <int32_t kParts>
  static __m512i LoadTables(const int8_t* const* tables, int32_t offset) {
    const auto at = [&](int32_t part) {
      return reinterpret_cast<const uint8_t*>(tables[part % kParts] + offset);
    };
    if (kParts == 4) return LoadQuarters(at(0), at(1), at(2), at(3));
    const auto load = [&](int32_t part) {
      return _mm_loadu_si128(reinterpret_cast<const __m128i*>(at(part)));
    };
    const __m512i first = _mm512_broadcast_i32x4(load(0));
    constexpr __mmask16 kSecondHalf = 0xFF00;
    return kParts == 1 ? first : _mm512_mask_broadcast_i32x4(first, kSecondHalf, load(1));
  }

  // 64 weights from 8 * kBits bytes. Each of kParts parts has its table of nibbles.
  template <int32_t kBits, int32_t kParts>
  static void DecodeBlock(const uint8_t* bytes, const int8_t* const* tables, int8_t* to) {
    const __m512i first = LoadTables<kParts>(tables, 0), nibble = _mm512_set1_epi8(15);
    if (kBits == 4) {
      const __m512i wide =
          _mm512_cvtepu8_epi16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(bytes)));
      const __m512i both = _mm512_slli_epi16(wide, 4);
      const __m512i nibbles = _mm512_ternarylogic_epi32(wide, both, nibble, kEitherAndThird);
      return StoreFull(to, _mm512_shuffle_epi8(first, nibbles));
    }
    // Each byte four times, of which the last two are for its high nibble.
    const __m512i fours = _mm512_shuffle_epi8(
        _mm512_broadcast_i32x4(_mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes))),
        _mm512_setr_epi32(0, 0x01010101, 0x02020202, 0x03030303, 0x04040404, 0x05050505, 0x06060606,
                          0x07070707, 0x08080808, 0x09090909, 0x0A0A0A0A, 0x0B0B0B0B, 0x0C0C0C0C,
                          0x0D0D0D0D, 0x0E0E0E0E, 0x0F0F0F0F));
    constexpr __mmask32 kOdd = 0xAAAAAAAAu;
    const __m512i nibbles = _mm512_and_si512(_mm512_mask_srli_epi16(fours, kOdd, fours, 4), nibble);
    const __m512i even = _mm512_shuffle_epi8(first, nibbles);
    constexpr __mmask64 kSecondOfTwo = 0xAAAAAAAAAAAAAAAAu;
    StoreFull(
        to, _mm512_mask_shuffle_epi8(even, kSecondOfTwo, LoadTables<kParts>(tables, 16), nibbles));
  }

  // A row of `padded_depth` numbers, zero point taken off, times each of four rows of as many
  // weights beside each other.
  static void DotFour(const Left* row, const int8_t* weights, int32_t padded_depth,
                      const Quantization& quantization, int32_t* sums) {
    const auto dot = LeftZero(quantization) == 0 ? DotFourRows<false> : DotFourRows<true>;
    dot(row, weights, padded_depth, quantization, sums);
  }

  template <bool kWithSums>
  static void DotFourRows(const Left* row, const int8_t* weights, int32_t padded_depth,
                          const Quantization& quantization, int32_t* sums) {
    const int8_t *w0 = weights, *w1 = w0 + padded_depth;
    const int8_t *w2 = w1 + padded_depth, *w3 = w2 + padded_depth;
    const __m512i zero = _mm512_setzero_si512();
    DotSums s0 = {zero, zero}, s1 = s0, s2 = s0, s3 = s0;
    for (int32_t k = 0; k < padded_depth; k += kBlock) {
      const Right* x = reinterpret_cast<const Right*>(row + k);
      AddWeights<kWithSums>(LoadFull(w0 + k), x, &s0);
      AddWeights<kWithSums>(LoadFull(w1 + k), x, &s1);
      AddWeights<kWithSums>(LoadFull(w2 + k), x, &s2);
      AddWeights<kWithSums>(LoadFull(w3 + k), x, &s3);
    }
    _mm_storeu_si128(
        reinterpret_cast<__m128i*>(sums),
        Totals(Partial<kWithSums>(s0, quantization), Partial<kWithSums>(s1, quantization),
               Partial<kWithSums>(s2, quantization), Partial<kWithSums>(s3, quantization)));
  }
};

}  // namespace
}  // namespace edgeax
