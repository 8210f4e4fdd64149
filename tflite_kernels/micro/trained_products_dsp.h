#pragma once  // micro/trained_products_dsp.h: the same with the DSP instructions of Arm, 4 at once.

#include <arm_acle.h>

#include "tflite_kernels/micro/trained_products_portable.h"
#include "tflite_kernels/micro/words_dsp.h"

namespace edgeax {
namespace micro {
namespace dsp {

// Four codes as halves of words: the first and the third, the second and the fourth.
struct Quad {
  int16x2_t even, odd;
};

static inline Quad QuadAt(const int8_t* codes) {
  const int8x4_t word = static_cast<int8x4_t>(LoadWord(codes));
  int16x2_t odd;
  __asm__("sxtb16 %0, %1, ror #8" : "=r"(odd) : "r"(word));
  return {__sxtb16(word), odd};
}

// The same plus `offset`.
static inline Quad QuadAt(const int8_t* codes, int16x2_t offset) {
  const int8x4_t word = static_cast<int8x4_t>(LoadWord(codes));
  int16x2_t odd;
  __asm__("sxtab16 %0, %1, %2, ror #8" : "=r"(odd) : "r"(offset), "r"(word));
  return {__sxtab16(offset, word), odd};
}

// What takes a zero point off both halves.
static inline int16x2_t OffsetOf(int32_t zero_point) {
  const uint32_t half = static_cast<uint32_t>(-zero_point) & 0xFFFF;
  return static_cast<int16x2_t>(half | half << 16);
}

static inline int32_t AddFour(Quad a, Quad b, int32_t sum) {
  return __smlad(a.odd, b.odd, __smlad(a.even, b.even, sum));
}

constexpr int32_t kRows = 4;

static inline void AddInnerProducts(const int8_t* codes, int32_t zero_point, const int8_t* rows,
                                    int32_t step, int32_t count, int32_t* sums) {
  const int16x2_t offset = OffsetOf(zero_point);
  const int8_t* back = rows + 2 * step;
  int32_t sum0 = sums[0], sum1 = sums[1], sum2 = sums[2], sum3 = sums[3];
  for (; count >= 4; count -= 4, codes += 4, rows += 4, back += 4) {
    const Quad quad = QuadAt(codes, offset);
    sum0 = AddFour(quad, QuadAt(rows), sum0);
    sum1 = AddFour(quad, QuadAt(rows + step), sum1);
    sum2 = AddFour(quad, QuadAt(back), sum2);
    sum3 = AddFour(quad, QuadAt(back + step), sum3);
  }
  sums[0] = sum0;
  sums[1] = sum1;
  sums[2] = sum2;
  sums[3] = sum3;
  if (count == 0) return;
  portable::AddInnerProducts(codes, zero_point, rows, step, count, sums);
  portable::AddInnerProducts(codes, zero_point, back, step, count, sums + 2);
}

static inline void AddScaledRows(int32_t factor0, const int8_t* row0, int32_t factor1,
                                 const int8_t* row1, int32_t zero_point, int32_t count,
                                 int32_t* sums) {
  const int16x2_t offset = OffsetOf(zero_point);
  for (; count >= 4; count -= 4, row0 += 4, row1 += 4, sums += 4) {
    const Quad a = QuadAt(row0, offset), b = QuadAt(row1, offset);
    sums[0] = __smlabb(factor1, b.even, __smlabb(factor0, a.even, sums[0]));
    sums[1] = __smlabb(factor1, b.odd, __smlabb(factor0, a.odd, sums[1]));
    sums[2] = __smlabt(factor1, b.even, __smlabt(factor0, a.even, sums[2]));
    sums[3] = __smlabt(factor1, b.odd, __smlabt(factor0, a.odd, sums[3]));
  }
  if (count > 0) {
    portable::AddScaledRows(factor0, row0, factor1, row1, zero_point, count, sums);
  }
}

static inline void AddFourProducts(const int8_t* factors, Quad codes, int32_t* sums) {
  const Quad quad = QuadAt(factors);
  sums[0] = __smlabb(quad.even, codes.even, sums[0]);
  sums[1] = __smlabb(quad.odd, codes.odd, sums[1]);
  sums[2] = __smlatt(quad.even, codes.even, sums[2]);
  sums[3] = __smlatt(quad.odd, codes.odd, sums[3]);
}

static inline void AddFourProducts(const int16_t* factors, Quad codes, int32_t* sums) {
  int32_t front, back;
  __builtin_memcpy(&front, factors, 4);
  __builtin_memcpy(&back, factors + 2, 4);
  sums[0] = __smlabb(front, codes.even, sums[0]);
  sums[1] = __smlatb(front, codes.odd, sums[1]);
  sums[2] = __smlabt(back, codes.even, sums[2]);
  sums[3] = __smlatt(back, codes.odd, sums[3]);
}

template <int32_t kCount, typename T>
static inline void AddProducts(const T* factors, const int8_t* codes, int32_t zero_point,
                               int32_t* sums) {
  if constexpr (kCount == 4) {
    AddFourProducts(factors, QuadAt(codes, OffsetOf(zero_point)), sums);
  } else {
    portable::AddProducts<kCount>(factors, codes, zero_point, sums);
  }
}

}  // namespace dsp
}  // namespace micro
}  // namespace edgeax
