#pragma once  // arch/armv7_intrinsics.h: the intrinsics of 64-bit Arm that arch/neon_codes.h needs,
              // on 32-bit Arm.

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

}  // namespace
}  // namespace edgeax
