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
  static constexpr int32_t kTilesPerStore = 8;  // that are finished together
  static constexpr int32_t kMostWords = 31;     // times 8 bits still fit a byte
  static constexpr bool kFolds = false;
  static constexpr bool kCountsEight = false;
  static constexpr bool kFetchesAhead = false;
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

  // counts[c] = twice the bits of column c.
  static void CountColumns(const uint8_t* right, int32_t words, int32_t* counts) {
    for (int32_t c = 0; c < kColumns; c += 2) {
      uint64x2_t sum = vdupq_n_u64(0);
      const uint8_t* from = right + c * kWordBytes;
      for (int32_t first = 0; first < words; first += kMostWords) {
        const int32_t end = words - first < kMostWords ? words : first + kMostWords;
        uint8x16_t bytes = vdupq_n_u8(0);
        for (int32_t w = first; w < end; ++w, from += kColumns * kWordBytes) {
          bytes = vaddq_u8(bytes, vcntq_u8(vld1q_u8(from)));
        }
        sum = vpadalq_u32(sum, vpaddlq_u16(vpaddlq_u8(bytes)));
      }
      counts[c] = static_cast<int32_t>(2 * vgetq_lane_u64(sum, 0));
      counts[c + 1] = static_cast<int32_t>(2 * vgetq_lane_u64(sum, 1));
    }
  }

  static uint8x16_t Add(uint8x16_t sum, uint8x16_t x, uint8x16_t w) {
    return vaddq_u8(sum, vcntq_u8(veorq_u8(x, w)));
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

  // A word of a row and four registers of columns, in assembly: GCC 12 mixes the rows until it has
  // no register left for the sums.
#define EDGEAX_ADD_WORD(row)                                                                   \
  __asm__ volatile(                                                                            \
      "ld1r {%[x].2d}, [%[from]], #8\n\t"                                                      \
      "eor %[a].16b, %[x].16b, %[w0].16b\n\t"                                                  \
      "eor %[b].16b, %[x].16b, %[w1].16b\n\t"                                                  \
      "eor %[c].16b, %[x].16b, %[w2].16b\n\t"                                                  \
      "eor %[x].16b, %[x].16b, %[w3].16b\n\t"                                                  \
      "cnt %[a].16b, %[a].16b\n\t"                                                             \
      "cnt %[b].16b, %[b].16b\n\t"                                                             \
      "cnt %[c].16b, %[c].16b\n\t"                                                             \
      "cnt %[x].16b, %[x].16b\n\t"                                                             \
      "add %[s0].16b, %[s0].16b, %[a].16b\n\t"                                                 \
      "add %[s1].16b, %[s1].16b, %[b].16b\n\t"                                                 \
      "add %[s2].16b, %[s2].16b, %[c].16b\n\t"                                                 \
      "add %[s3].16b, %[s3].16b, %[x].16b"                                                     \
      : [from] "+r"(r##row), [s0] "+w"(s##row##0), [s1] "+w"(s##row##1), [s2] "+w"(s##row##2), \
        [s3] "+w"(s##row##3), [x] "=&w"(x), [a] "=&w"(a), [b] "=&w"(b), [c] "=&w"(c)           \
      : [w0] "w"(w0), [w1] "w"(w1), [w2] "w"(w2), [w3] "w"(w3)                                 \
      : "memory")

  // The same for six rows.
#define EDGEAX_ADD_WORDS(right)                             \
  w0 = vld1q_u8(right), w1 = vld1q_u8((right) + 16);        \
  w2 = vld1q_u8((right) + 32), w3 = vld1q_u8((right) + 48); \
  EDGEAX_ADD_WORD(0);                                       \
  EDGEAX_ADD_WORD(1);                                       \
  EDGEAX_ADD_WORD(2);                                       \
  EDGEAX_ADD_WORD(3);                                       \
  EDGEAX_ADD_WORD(4);                                       \
  EDGEAX_ADD_WORD(5)

  // The same for one row and the first word: the sums begin with it.
#define EDGEAX_FIRST_WORD(row)                                                                    \
  __asm__ volatile(                                                                               \
      "ld1r {%[s3].2d}, [%[from]], #8\n\t"                                                        \
      "eor %[s0].16b, %[s3].16b, %[w0].16b\n\t"                                                   \
      "eor %[s1].16b, %[s3].16b, %[w1].16b\n\t"                                                   \
      "eor %[s2].16b, %[s3].16b, %[w2].16b\n\t"                                                   \
      "eor %[s3].16b, %[s3].16b, %[w3].16b\n\t"                                                   \
      "cnt %[s0].16b, %[s0].16b\n\t"                                                              \
      "cnt %[s1].16b, %[s1].16b\n\t"                                                              \
      "cnt %[s2].16b, %[s2].16b\n\t"                                                              \
      "cnt %[s3].16b, %[s3].16b"                                                                  \
      : [from] "+r"(r##row), [s0] "=&w"(s##row##0), [s1] "=&w"(s##row##1), [s2] "=&w"(s##row##2), \
        [s3] "=&w"(s##row##3)                                                                     \
      : [w0] "w"(w0), [w1] "w"(w1), [w2] "w"(w2), [w3] "w"(w3)                                    \
      : "memory")

#define EDGEAX_STORE_ROW(row) \
  StoreTwice(s##row##0, s##row##1, s##row##2, s##row##3, first == 0, differences + row * kColumns)

  // differences [6 rows][8 columns]. Not inlined: the loop needs all registers.
  __attribute__((noinline)) static void Multiply(const uint8_t* rows, size_t row_bytes,
                                                 const uint8_t* right, int32_t words, int32_t,
                                                 Difference* differences) {
    constexpr int32_t kTileBytes = kColumns * kWordBytes;  // a word of each column
    const uint8_t *r0 = rows, *r1 = r0 + row_bytes, *r2 = r1 + row_bytes;
    const uint8_t *r3 = r2 + row_bytes, *r4 = r3 + row_bytes, *r5 = r4 + row_bytes;
    for (int32_t first = 0; first < words; first += kMostWords) {
      const int32_t end = words - first < kMostWords ? words : first + kMostWords;
      // Named one by one: GCC keeps an array of accumulators in memory.
      uint8x16_t s00, s01, s02, s03, s10, s11, s12, s13, s20, s21, s22, s23;
      uint8x16_t s30, s31, s32, s33, s40, s41, s42, s43, s50, s51, s52, s53;
      uint8x16_t w0 = vld1q_u8(right), w1 = vld1q_u8(right + 16);
      uint8x16_t w2 = vld1q_u8(right + 32), w3 = vld1q_u8(right + 48);
      EDGEAX_FIRST_WORD(0);
      EDGEAX_FIRST_WORD(1);
      EDGEAX_FIRST_WORD(2);
      EDGEAX_FIRST_WORD(3);
      EDGEAX_FIRST_WORD(4);
      EDGEAX_FIRST_WORD(5);
      right += kTileBytes;
      int32_t k = first + 1;
      uint8x16_t x, a, b, c;
      if ((end - k) % 2 != 0) {
        EDGEAX_ADD_WORDS(right);
        right += kTileBytes;
        ++k;
      }
      for (; k < end; k += 2, right += 2 * kTileBytes) {
        EDGEAX_ADD_WORDS(right);
        EDGEAX_ADD_WORDS(right + kTileBytes);
      }
      EDGEAX_STORE_ROW(0);
      EDGEAX_STORE_ROW(1);
      EDGEAX_STORE_ROW(2);
      EDGEAX_STORE_ROW(3);
      EDGEAX_STORE_ROW(4);
      EDGEAX_STORE_ROW(5);
    }
  }
#undef EDGEAX_ADD_WORDS
#undef EDGEAX_ADD_WORD
#undef EDGEAX_FIRST_WORD
#undef EDGEAX_STORE_ROW

  // Bits that differ in `words` words.
  static int32_t CountWords(const uint8_t* x, const uint8_t* w, int32_t words) {
    constexpr int32_t kMost = 2 * kMostWords;  // in two halves
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

  struct Codes : BinaryLines<BinaryNeon, kColumns, int32_t> {
    using BinaryLines::BinaryLines;

    // What the sums of four channels are finished with, kept in registers for all rows of a tile.
    struct Four {
      Four(const Codes& codes, int32_t i)
          : start_low(vld1q_s64(codes.start + i)),
            start_high(vld1q_s64(codes.start + i + 2)),
            left_low(vnegq_s64(vld1q_s64(codes.right + i))),
            left_high(vnegq_s64(vld1q_s64(codes.right + i + 2))),
            slope(vld1q_s32(codes.slope + i)) {}

      // Saturated to int32.
      int32x4_t Scaled(const Difference* differences) const {
        const int32x4_t d = vld1q_s32(differences);
        const int64x2_t low = vmlal_s32(start_low, vget_low_s32(d), vget_low_s32(slope));
        const int64x2_t high = vmlal_high_s32(start_high, d, slope);
        const int32x2_t low_words = vqmovn_s64(vshlq_s64(low, left_low));
        return vqmovn_high_s64(low_words, vshlq_s64(high, left_high));
      }

      int64x2_t start_low, start_high, left_low, left_high;
      int32x4_t slope;
    };

    void Store(const Difference* differences, int32_t rows, int8_t* output, size_t stride) const {
      if (!in_vectors) return StoreOneByOne(differences, rows, output, stride);
      const Four first(*this, 0), second(*this, 4);
      const int8x8_t low = vdup_n_s8(static_cast<int8_t>(quantization.output_min));
      const int8x8_t high = vdup_n_s8(static_cast<int8_t>(quantization.output_max));
      for (int32_t r = 0; r < rows; ++r, differences += kColumns, output += stride) {
        const int16x4_t half = vqmovn_s32(first.Scaled(differences));
        const int16x8_t halves = vqmovn_high_s32(half, second.Scaled(differences + 4));
        const int8x8_t codes = vmin_s8(vmax_s8(vqmovn_s16(halves), low), high);
        if (count == kColumns) {
          vst1_s8(output, codes);
          continue;
        }
        int8_t all[16];
        vst1_s8(all, codes);
        CopyFirst(all, count, output);
      }
    }
  };
};

}  // namespace
}  // namespace edgeax
