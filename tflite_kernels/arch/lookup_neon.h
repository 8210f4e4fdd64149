#pragma once  // arch/lookup_neon.h: products that are looked up, on aarch64.

#include <arm_neon.h>

#include "tflite_kernels/arch/lookup_planes.h"
#include "tflite_kernels/arch/neon_finish.h"

namespace edgeax {
namespace {

// 16 bytes of indices: their low nibbles are the even columns, their high ones the odd columns.
struct LookupNeon {
  using Finish = FinishNeon<16>;
  static constexpr int32_t kFinished = 16;
  static constexpr int32_t kOutputs = 32;
  static constexpr size_t kTableBytes = 16 * kPlanes;

  // The products of x with 16 codewords, whose weights number i are lines[16 * i] and after.
  // Returns whether one needs more than 16 bits.
  static bool WriteTable(const int16_t* x, int32_t length, const int8_t* lines, uint8_t* table) {
    int32x4_t s0 = vdupq_n_s32(kPlaneOffset), s1 = s0, s2 = s0, s3 = s0;
    for (int32_t i = 0; i < length; ++i, lines += kCodebookEntries) {
      const int8x16_t weights = vld1q_s8(lines);
      const int16x8_t low = vmovl_s8(vget_low_s8(weights)), high = vmovl_high_s8(weights);
      s0 = vmlal_n_s16(s0, vget_low_s16(low), x[i]);
      s1 = vmlal_high_n_s16(s1, low, x[i]);
      s2 = vmlal_n_s16(s2, vget_low_s16(high), x[i]);
      s3 = vmlal_high_n_s16(s3, high, x[i]);
    }
    const auto halves = [](int32x4_t sum) { return vreinterpretq_u16_s32(sum); };
    const uint8x16_t lower_a = vreinterpretq_u8_u16(vuzp1q_u16(halves(s0), halves(s1)));
    const uint8x16_t lower_b = vreinterpretq_u8_u16(vuzp1q_u16(halves(s2), halves(s3)));
    const uint8x16_t upper_a = vreinterpretq_u8_u16(vuzp2q_u16(halves(s0), halves(s1)));
    const uint8x16_t upper_b = vreinterpretq_u8_u16(vuzp2q_u16(halves(s2), halves(s3)));
    vst1q_u8(table, vuzp1q_u8(lower_a, lower_b));
    vst1q_u8(table + 16, vuzp2q_u8(lower_a, lower_b));
    const uint8x16_t highest = vuzp1q_u8(upper_a, upper_b);
    vst1q_u8(table + 32, highest);
    return vminvq_u8(vceqq_u8(highest, vdupq_n_u8(kHighByte))) == 0;
  }

  // sums[c] = the sum over all places of what index c of the place names. `bytes` of indices of a
  // place are there, 16 at most; those of the next place lie `pitch` further. The sums beyond them
  // are any. `is_wide`: whether a table has a product of more than 16 bits.
  static void Add(const uint8_t* tables, int32_t places, const uint8_t* indices, size_t pitch,
                  int32_t bytes, bool is_wide, int32_t* sums) {
    for (int32_t i = 0; i < kOutputs; i += 4) vst1q_s32(sums + i, vdupq_n_s32(0));
    for (int32_t p = 0; p < places; p += kPlanePlaces) {
      const int32_t count = places - p < kPlanePlaces ? places - p : kPlanePlaces;
      const uint8_t* from = indices + static_cast<size_t>(p) * pitch;
      const uint8_t* own = tables + static_cast<size_t>(p) * kTableBytes;
      if (bytes < 16) {
        AddPlanes<false, true>(own, count, from, pitch, bytes, sums);
      } else if (is_wide) {
        AddPlanes<true, true>(own, count, from, pitch, bytes, sums);
      } else {
        AddPlanes<true, false>(own, count, from, pitch, bytes, sums);
      }
    }
  }

  template <bool kWhole>
  static uint8x16_t LoadIndices(const uint8_t* from, int32_t bytes) {
    if (kWhole) return vld1q_u8(from);
    uint8_t all[16] = {};
    for (int32_t i = 0; i < bytes; ++i) all[i] = from[i];
    return vld1q_u8(all);
  }

  template <bool kWhole, bool kIsWide>
  __attribute__((noinline)) static void AddPlanes(const uint8_t* tables, int32_t places,
                                                  const uint8_t* indices, size_t pitch,
                                                  int32_t bytes, int32_t* sums) {
    // Of the lowest, the middle and the highest bytes: first and last eight of even columns, and of
    // odd ones.
    const uint16x8_t zero = vdupq_n_u16(0);
    uint16x8_t e0 = zero, f0 = zero, o0 = zero, p0 = zero;
    uint16x8_t e1 = zero, f1 = zero, o1 = zero, p1 = zero;
    uint16x8_t e2 = zero, f2 = zero, o2 = zero, p2 = zero;
    const auto add = [](uint8x16_t found, uint16x8_t* low, uint16x8_t* high) {
      *low = vaddw_u8(*low, vget_low_u8(found));
      *high = vaddw_high_u8(*high, found);
    };
    for (int32_t i = 0; i < places; ++i, tables += kTableBytes, indices += pitch) {
      const uint8x16_t both = LoadIndices<kWhole>(indices, bytes);
      const uint8x16_t even = vandq_u8(both, vdupq_n_u8(15)), odd = vshrq_n_u8(both, 4);
      const uint8x16_t t0 = vld1q_u8(tables), t1 = vld1q_u8(tables + 16);
      add(vqtbl1q_u8(t0, even), &e0, &f0);
      add(vqtbl1q_u8(t1, even), &e1, &f1);
      add(vqtbl1q_u8(t0, odd), &o0, &p0);
      add(vqtbl1q_u8(t1, odd), &o1, &p1);
      if (kIsWide) {
        const uint8x16_t t2 = vld1q_u8(tables + 32);
        add(vqtbl1q_u8(t2, even), &e2, &f2);
        add(vqtbl1q_u8(t2, odd), &o2, &p2);
      }
    }
    const int32_t moved = MovedBack(kIsWide, places);
    AddEight(e0, e1, e2, o0, o1, o2, moved, sums);
    AddEight(f0, f1, f2, p0, p1, p2, moved, sums + 16);
  }

  static int32x4_t Total(uint16x4_t low, uint16x4_t middle, uint16x4_t high, int32x4_t moved) {
    const uint32x4_t lower = vaddq_u32(vmovl_u16(low), vshll_n_u16(middle, 8));
    return vaddq_s32(vreinterpretq_s32_u32(vaddq_u32(lower, vshll_n_u16(high, 16))), moved);
  }

  // Eight even columns and eight odd ones.
  static void AddEight(uint16x8_t e0, uint16x8_t e1, uint16x8_t e2, uint16x8_t o0, uint16x8_t o1,
                       uint16x8_t o2, int32_t offset, int32_t* sums) {
    const int32x4_t moved = vdupq_n_s32(offset);
    const auto add = [&](int32_t at, int32x4_t even, int32x4_t odd) {
      const auto store = [&](int32_t to, int32x4_t four) {
        vst1q_s32(sums + to, vaddq_s32(vld1q_s32(sums + to), four));
      };
      store(at, vzip1q_s32(even, odd));
      store(at + 4, vzip2q_s32(even, odd));
    };
    add(0, Total(vget_low_u16(e0), vget_low_u16(e1), vget_low_u16(e2), moved),
        Total(vget_low_u16(o0), vget_low_u16(o1), vget_low_u16(o2), moved));
    add(8, Total(vget_high_u16(e0), vget_high_u16(e1), vget_high_u16(e2), moved),
        Total(vget_high_u16(o0), vget_high_u16(o1), vget_high_u16(o2), moved));
  }
};

// By instructions of convolutions: a hundredth of one for each product that is decoded, those to
// add up what is found, and those for the tables of a row.
struct LookupNeonPlain : LookupNeon {
  static bool PaysForAllRows(int32_t length, int32_t columns) {
    return int64_t{columns} * (23 * length - 100) > int64_t{100} * (9 * length + 45);
  }
};

// The dot product multiplies three times as fast.
struct LookupNeonDotprod : LookupNeon {
  static bool PaysForAllRows(int32_t, int32_t) { return false; }
};

}  // namespace
}  // namespace edgeax
