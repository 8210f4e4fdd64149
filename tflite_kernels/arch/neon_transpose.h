#pragma once  // arch/neon_transpose.h: rows to columns on aarch64.

#include <arm_neon.h>
#include <stddef.h>

namespace edgeax {
namespace {

// 8 x 8 bytes: `load(i)` gives row i; columns go so many bytes apart.
template <typename Load>
inline void TransposeBytes(const Load& load, int8_t* to, ptrdiff_t to_pitch) {
  const auto pair = [](int8x8_t a, int8x8_t b) {
    const int16x4_t even = vreinterpret_s16_s8(vtrn1_s8(a, b));
    const int16x4_t odd = vreinterpret_s16_s8(vtrn2_s8(a, b));
    return int16x4x2_t{{even, odd}};
  };
  const auto four = [](int16x4_t a, int16x4_t b) {
    const int32x2_t even = vreinterpret_s32_s16(vtrn1_s16(a, b));
    const int32x2_t odd = vreinterpret_s32_s16(vtrn2_s16(a, b));
    return int32x2x2_t{{even, odd}};
  };
  const auto store = [&](int32_t i, int32x2_t a, int32x2_t b) {
    vst1_s8(to + i * to_pitch, vreinterpret_s8_s32(vtrn1_s32(a, b)));
    vst1_s8(to + (i + 4) * to_pitch, vreinterpret_s8_s32(vtrn2_s32(a, b)));
  };
  const int16x4x2_t a0 = pair(load(0), load(1)), a1 = pair(load(2), load(3));
  const int16x4x2_t a2 = pair(load(4), load(5)), a3 = pair(load(6), load(7));
  const int32x2x2_t b0 = four(a0.val[0], a1.val[0]), b1 = four(a0.val[1], a1.val[1]);
  const int32x2x2_t b2 = four(a2.val[0], a3.val[0]), b3 = four(a2.val[1], a3.val[1]);
  store(0, b0.val[0], b2.val[0]);
  store(1, b1.val[0], b3.val[0]);
  store(2, b0.val[1], b2.val[1]);
  store(3, b1.val[1], b3.val[1]);
}

// The same in memory, rows so many bytes apart.
inline void TransposeBytes(const int8_t* from, ptrdiff_t from_pitch, int8_t* to,
                           ptrdiff_t to_pitch) {
  TransposeBytes([&](int32_t i) { return vld1_s8(from + i * from_pitch); }, to, to_pitch);
}

// 8 x 8 halfwords.
template <typename Load>
inline void TransposeHalves(const Load& load, int8_t* to, ptrdiff_t to_pitch) {
  const auto pair = [](int16x8_t a, int16x8_t b) {
    const int32x4_t even = vreinterpretq_s32_s16(vtrn1q_s16(a, b));
    const int32x4_t odd = vreinterpretq_s32_s16(vtrn2q_s16(a, b));
    return int32x4x2_t{{even, odd}};
  };
  const auto four = [](int32x4_t a, int32x4_t b) {
    const int64x2_t even = vreinterpretq_s64_s32(vtrn1q_s32(a, b));
    const int64x2_t odd = vreinterpretq_s64_s32(vtrn2q_s32(a, b));
    return int64x2x2_t{{even, odd}};
  };
  const auto store = [&](int32_t i, int64x2_t a, int64x2_t b) {
    vst1q_s8(to + i * to_pitch, vreinterpretq_s8_s64(vtrn1q_s64(a, b)));
    vst1q_s8(to + (i + 4) * to_pitch, vreinterpretq_s8_s64(vtrn2q_s64(a, b)));
  };
  const int32x4x2_t a0 = pair(load(0), load(1)), a1 = pair(load(2), load(3));
  const int32x4x2_t a2 = pair(load(4), load(5)), a3 = pair(load(6), load(7));
  const int64x2x2_t b0 = four(a0.val[0], a1.val[0]), b1 = four(a0.val[1], a1.val[1]);
  const int64x2x2_t b2 = four(a2.val[0], a3.val[0]), b3 = four(a2.val[1], a3.val[1]);
  store(0, b0.val[0], b2.val[0]);
  store(1, b1.val[0], b3.val[0]);
  store(2, b0.val[1], b2.val[1]);
  store(3, b1.val[1], b3.val[1]);
}

// The same in memory, rows so many bytes apart.
inline void TransposeHalves(const int8_t* from, ptrdiff_t from_pitch, int8_t* to,
                            ptrdiff_t to_pitch) {
  const auto load = [&](int32_t i) {
    return vreinterpretq_s16_s8(vld1q_s8(from + i * from_pitch));
  };
  TransposeHalves(load, to, to_pitch);
}

// 4 x 4 words of 32 bits.
struct FourRows {
  int8x16_t a, b, c, d;
};

inline FourRows TransposeWords(const FourRows& rows) {
  const int32x4_t a = vreinterpretq_s32_s8(rows.a), b = vreinterpretq_s32_s8(rows.b);
  const int32x4_t c = vreinterpretq_s32_s8(rows.c), d = vreinterpretq_s32_s8(rows.d);
  const int64x2_t ab_even = vreinterpretq_s64_s32(vtrn1q_s32(a, b));
  const int64x2_t ab_odd = vreinterpretq_s64_s32(vtrn2q_s32(a, b));
  const int64x2_t cd_even = vreinterpretq_s64_s32(vtrn1q_s32(c, d));
  const int64x2_t cd_odd = vreinterpretq_s64_s32(vtrn2q_s32(c, d));
  return {vreinterpretq_s8_s64(vtrn1q_s64(ab_even, cd_even)),
          vreinterpretq_s8_s64(vtrn1q_s64(ab_odd, cd_odd)),
          vreinterpretq_s8_s64(vtrn2q_s64(ab_even, cd_even)),
          vreinterpretq_s8_s64(vtrn2q_s64(ab_odd, cd_odd))};
}

// The same in memory, rows so many bytes apart.
inline void TransposeWords(const void* from, ptrdiff_t from_pitch, void* to, ptrdiff_t to_pitch) {
  const auto load = [&](int32_t i) {
    return vld1q_s8(static_cast<const int8_t*>(from) + i * from_pitch);
  };
  const auto store = [&](int32_t i, int8x16_t row) {
    vst1q_s8(static_cast<int8_t*>(to) + i * to_pitch, row);
  };
  const FourRows columns = TransposeWords({load(0), load(1), load(2), load(3)});
  store(0, columns.a), store(1, columns.b), store(2, columns.c), store(3, columns.d);
}

}  // namespace
}  // namespace edgeax
