#pragma once  // arch/binary_neon.h: the steps of the binary drivers on aarch64.

#include <arm_neon.h>

#include "tflite_kernels/arch/binary_matmul.h"
#include "tflite_kernels/arch/steps.h"

namespace edgeax {
namespace {

// A register of weights holds a word each of two columns, and a word of a row stands in both halves
// of another. Counts of 8 bits are added up in bytes as long as they fit.
struct BinaryNeon {
  using Difference = int32_t;
  static constexpr int32_t kRows = 6;
  static constexpr int32_t kColumns = 8;
  static constexpr int32_t kLeftWordBytes = kWordBytes;
  static constexpr int32_t kRightWordBytes = kWordBytes;

  static void StoreWord(uint64_t word, uint8_t* to) { memcpy(to, &word, kWordBytes); }

  // Bit i of `count` codes, 64 at most, is 1 where code i is below the zero point.
  static uint64_t Negative(const int8_t* codes, int32_t count, int8_t zero_point) {
    int8_t all[kWordBits];
    if (count < kWordBits) {
      memset(all, zero_point, sizeof(all));
      memcpy(all, codes, static_cast<size_t>(count));
      codes = all;
    }
    const uint8x16_t bit = vreinterpretq_u8_u64(vdupq_n_u64(0x8040201008040201));
    const int8x16_t zero = vdupq_n_s8(zero_point);
    const auto below = [&](int32_t i) {
      return vandq_u8(vcltq_s8(vld1q_s8(codes + i), zero), bit);
    };
    const uint8x16_t low = vpaddq_u8(below(0), below(16));
    const uint8x16_t high = vpaddq_u8(below(32), below(48));
    const uint8x16_t both = vpaddq_u8(low, high);
    return vgetq_lane_u64(vreinterpretq_u64_u8(vpaddq_u8(both, both)), 0);
  }

  static void CopyWords(const uint8_t* from, size_t bytes, uint8_t* to) {
    for (; bytes >= 16; bytes -= 16, from += 16, to += 16) vst1q_u8(to, vld1q_u8(from));
    if (bytes > 0) vst1_u8(to, vld1_u8(from));
  }

  static void PackRight(const BinaryColumns& columns, int32_t first, uint8_t* right) {
    PackWords<kColumns>(columns, first, reinterpret_cast<uint64_t*>(right));
  }

  static void CountColumns(const uint8_t* right, int32_t words, int32_t* counts) {
    for (int32_t c = 0; c < kColumns; c += 2) {
      uint64x2_t sum = vdupq_n_u64(0);
      const uint8_t* from = right + c * kWordBytes;
      for (int32_t w = 0; w < words; ++w, from += kColumns * kWordBytes) {
        sum = vpadalq_u32(sum, vpaddlq_u16(vpaddlq_u8(vcntq_u8(vld1q_u8(from)))));
      }
      counts[c] = static_cast<int32_t>(vgetq_lane_u64(sum, 0));
      counts[c + 1] = static_cast<int32_t>(vgetq_lane_u64(sum, 1));
    }
  }

  static uint8x16_t Add(uint8x16_t sum, uint8x16_t x, uint8x16_t w) {
    return vaddq_u8(sum, vcntq_u8(veorq_u8(x, w)));
  }

  static uint8x16_t LoadTwice(const uint8_t* word) {
    return vreinterpretq_u8_u64(vld1q_dup_u64(reinterpret_cast<const uint64_t*>(word)));
  }

  // Twice the sums of each eight bytes, to differences or added to them.
  static void StoreTwice(uint8x16_t a, uint8x16_t b, uint8x16_t c, uint8x16_t d, bool is_first,
                         Difference* to) {
    const uint16x8_t ab = vpaddq_u16(vpaddlq_u8(a), vpaddlq_u8(b));
    const uint16x8_t cd = vpaddq_u16(vpaddlq_u8(c), vpaddlq_u8(d));
    const uint16x8_t all = vpaddq_u16(ab, cd);
    int32x4_t low = vreinterpretq_s32_u32(vshll_n_u16(vget_low_u16(all), 1));
    int32x4_t high = vreinterpretq_s32_u32(vshll_high_n_u16(all, 1));
    if (!is_first) {
      low = vaddq_s32(low, vld1q_s32(to));
      high = vaddq_s32(high, vld1q_s32(to + 4));
    }
    vst1q_s32(to, low);
    vst1q_s32(to + 4, high);
  }

#define EDGEAX_ADD_WORD(row)                                              \
  do {                                                                    \
    const uint8x16_t x = LoadTwice(r##row + k * kWordBytes);              \
    s##row##0 = Add(s##row##0, x, w0), s##row##1 = Add(s##row##1, x, w1); \
    s##row##2 = Add(s##row##2, x, w2), s##row##3 = Add(s##row##3, x, w3); \
  } while (false)

#define EDGEAX_STORE_ROW(row) \
  StoreTwice(s##row##0, s##row##1, s##row##2, s##row##3, first == 0, differences + row * kColumns)

  // differences [6 rows][8 columns]. Not inlined: the loop needs all registers.
  __attribute__((noinline)) static void Multiply(const uint8_t* const* rows, const uint8_t* right,
                                                 int32_t words, Difference* differences) {
    constexpr int32_t kMost = 31;  // times 8 bits still fit a byte
    const uint8_t *r0 = rows[0], *r1 = rows[1], *r2 = rows[2];
    const uint8_t *r3 = rows[3], *r4 = rows[4], *r5 = rows[5];
    for (int32_t first = 0; first < words; first += kMost) {
      const int32_t end = words - first < kMost ? words : first + kMost;
      // Named one by one: GCC keeps an array of accumulators in memory.
      const uint8x16_t zero = vdupq_n_u8(0);
      uint8x16_t s00 = zero, s01 = zero, s02 = zero, s03 = zero;
      uint8x16_t s10 = zero, s11 = zero, s12 = zero, s13 = zero;
      uint8x16_t s20 = zero, s21 = zero, s22 = zero, s23 = zero;
      uint8x16_t s30 = zero, s31 = zero, s32 = zero, s33 = zero;
      uint8x16_t s40 = zero, s41 = zero, s42 = zero, s43 = zero;
      uint8x16_t s50 = zero, s51 = zero, s52 = zero, s53 = zero;
      for (ptrdiff_t k = first; k < end; ++k, right += kColumns * kWordBytes) {
        const uint8x16_t w0 = vld1q_u8(right), w1 = vld1q_u8(right + 16);
        const uint8x16_t w2 = vld1q_u8(right + 32), w3 = vld1q_u8(right + 48);
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
  }
#undef EDGEAX_ADD_WORD
#undef EDGEAX_STORE_ROW

  // Bits that differ in `words` words.
  static int32_t CountWords(const uint8_t* x, const uint8_t* w, int32_t words) {
    constexpr int32_t kMost = 2 * 31;  // times 8 bits, in two halves, still fit a byte
    int32_t count = 0;
    for (int32_t first = 0; first < words; first += kMost) {
      const int32_t end = words - first < kMost ? words : first + kMost;
      uint8x16_t sum = vdupq_n_u8(0);
      int32_t k = first;
      for (; k + 2 <= end; k += 2) {
        sum = Add(sum, vld1q_u8(x + k * kWordBytes), vld1q_u8(w + k * kWordBytes));
      }
      if (k < end) {
        const uint8x8_t differ = veor_u8(vld1_u8(x + k * kWordBytes), vld1_u8(w + k * kWordBytes));
        count += vaddv_u8(vcnt_u8(differ));
      }
      count += vaddlvq_u8(sum);
    }
    return count;
  }

  // Which differences are above.
  static uint64_t Above(const Difference* differences, const Difference* above) {
    const uint32x4_t low = vcgtq_s32(vld1q_s32(differences), vld1q_s32(above));
    const uint32x4_t high = vcgtq_s32(vld1q_s32(differences + 4), vld1q_s32(above + 4));
    const uint8x8_t all = vmovn_u16(vcombine_u16(vmovn_u32(low), vmovn_u32(high)));
    return vaddv_u8(vand_u8(all, vcreate_u8(0x8040201008040201)));
  }

  // floor(total * factor + 1/2) + zero point is (D * slope + start) >> right, where of
  // total = bias + 4096 * (depth - D) the 4096 is a part of the shift.
  struct Codes {
    Codes(const int32_t* bias, const Requantization* factors, int32_t depth, int32_t count,
          const Quantization& quantization)
        : bias(bias), factors(factors), quantization(quantization), depth(depth), count(count) {
      in_vectors = quantization.rounding == Rounding::kSingle;
      for (int32_t c = 0; c < kColumns; ++c) {
        const Requantization factor = c < count ? factors[c] : Requantization{0, 0};
        const int64_t total = c < count ? BinaryTotal(bias[c], depth) : 0;
        const int32_t right = 31 - factor.shift - kBinaryFractionBits;
        // Such large factors are rare, and left to core/.
        if (right < 0) in_vectors = false;
        const int64_t half = int64_t{1} << (30 - factor.shift);
        start[c] = (total * factor.multiplier + half) >> kBinaryFractionBits;
        if (in_vectors) start[c] += quantization.output_zero_point * (int64_t{1} << right);
        slope[c] = -factor.multiplier;
        left[c] = -right;
      }
    }

    // Channels i .. i + 3, saturated to int16.
    int16x4_t Four(const Difference* differences, int32_t i) const {
      const int32x4_t d = vld1q_s32(differences + i), m = vld1q_s32(slope + i);
      const int64x2_t low = vmlal_s32(vld1q_s64(start + i), vget_low_s32(d), vget_low_s32(m));
      const int64x2_t high = vmlal_high_s32(vld1q_s64(start + i + 2), d, m);
      const int32x2_t low_words = vqmovn_s64(vshlq_s64(low, vld1q_s64(left + i)));
      return vqmovn_s32(vqmovn_high_s64(low_words, vshlq_s64(high, vld1q_s64(left + i + 2))));
    }

    void Store(const Difference* differences, int8_t* output) const {
      if (!in_vectors) return StoreOneByOne(differences, output);
      const int8x8_t low = vdup_n_s8(static_cast<int8_t>(quantization.output_min));
      const int8x8_t high = vdup_n_s8(static_cast<int8_t>(quantization.output_max));
      const int16x8_t words = vcombine_s16(Four(differences, 0), Four(differences, 4));
      const int8x8_t codes = vmin_s8(vmax_s8(vqmovn_s16(words), low), high);
      if (count == kColumns) return vst1_s8(output, codes);
      int8_t all[16];
      vst1_s8(all, codes);
      CopyFirst(all, count, output);
    }

    void StoreOneByOne(const Difference* differences, int8_t* output) const {
      for (int32_t c = 0; c < count; ++c) {
        const uint32_t total = static_cast<uint32_t>(BinaryTotal(bias[c], depth - differences[c]));
        output[c] = OutputCode(total, factors[c], quantization);
      }
    }

    int64_t start[kColumns], left[kColumns];
    int32_t slope[kColumns];
    const int32_t* bias;
    const Requantization* factors;
    Quantization quantization;
    int32_t depth, count;
    bool in_vectors;
  };
};

}  // namespace
}  // namespace edgeax
