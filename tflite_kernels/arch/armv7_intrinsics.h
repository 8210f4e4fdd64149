#pragma once  // arch/armv7_intrinsics.h: the intrinsics of 64-bit Arm that arch/armv7.h and the
              // headers that it shares with arch/neon.h need, on 32-bit Arm.

#include <arm_neon.h>

namespace edgeax {
namespace {

inline int8x8_t vqtbl1_s8(int8x16_t table, uint8x8_t index) {
  return vtbl2_s8({{vget_low_s8(table), vget_high_s8(table)}}, vreinterpret_s8_u8(index));
}

inline int8x16_t vqtbl1q_s8(int8x16_t table, uint8x16_t index) {
  return vcombine_s8(vqtbl1_s8(table, vget_low_u8(index)), vqtbl1_s8(table, vget_high_u8(index)));
}

#define EDGEAX_DEFINE_ZIP(Vector, q, type)                                                      \
  inline Vector vzip1##q##_##type(Vector a, Vector b) { return vzip##q##_##type(a, b).val[0]; } \
  inline Vector vzip2##q##_##type(Vector a, Vector b) { return vzip##q##_##type(a, b).val[1]; }

EDGEAX_DEFINE_ZIP(int8x8_t, , s8)
EDGEAX_DEFINE_ZIP(uint8x8_t, , u8)
EDGEAX_DEFINE_ZIP(int16x4_t, , s16)
EDGEAX_DEFINE_ZIP(int8x16_t, q, s8)
EDGEAX_DEFINE_ZIP(uint8x16_t, q, u8)

#undef EDGEAX_DEFINE_ZIP

inline int16x8_t vmull_high_s8(int8x16_t a, int8x16_t b) {
  return vmull_s8(vget_high_s8(a), vget_high_s8(b));
}

inline int16x8_t vmlal_high_s8(int16x8_t sum, int8x16_t a, int8x16_t b) {
  return vmlal_s8(sum, vget_high_s8(a), vget_high_s8(b));
}

inline int64x2_t vmull_high_s32(int32x4_t a, int32x4_t b) {
  return vmull_s32(vget_high_s32(a), vget_high_s32(b));
}

inline int64x2_t vmovl_high_s32(int32x4_t a) { return vmovl_s32(vget_high_s32(a)); }

inline int16x8_t vqmovn_high_s32(int16x4_t low, int32x4_t high) {
  return vcombine_s16(low, vqmovn_s32(high));
}

inline int32x4_t vqmovn_high_s64(int32x2_t low, int64x2_t high) {
  return vcombine_s32(low, vqmovn_s64(high));
}

inline int32x4_t vpaddq_s32(int32x4_t a, int32x4_t b) {
  return vcombine_s32(vpadd_s32(vget_low_s32(a), vget_high_s32(a)),
                      vpadd_s32(vget_low_s32(b), vget_high_s32(b)));
}

inline int32_t vaddvq_s32(int32x4_t a) {
  const int32x2_t pair = vpadd_s32(vget_low_s32(a), vget_high_s32(a));
  return vget_lane_s32(vpadd_s32(pair, pair), 0);
}

}  // namespace
}  // namespace edgeax
