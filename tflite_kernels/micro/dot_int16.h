#pragma once  // micro/dot_int16.h: sums of products of int16 codes and int8 weights, of 64 bits.

#include "tflite_kernels/micro/types.h"

#if !defined(EDGEAX_MICRO_PORTABLE) && defined(__ARM_FEATURE_DSP)
#include <arm_acle.h>

#include "tflite_kernels/micro/words_dsp.h"
#define EDGEAX_MICRO_DOT_DSP
#if defined(__ARM_FEATURE_MVE) && (__ARM_FEATURE_MVE & 1)
#include <arm_mve.h>
#define EDGEAX_MICRO_DOT_HELIUM
#endif
#endif

namespace edgeax {
namespace micro {

// sum + the products of four.
static inline int64_t DotOfFour(const int16_t* codes, const int8_t* weights, int64_t sum) {
#if defined(EDGEAX_MICRO_DOT_DSP)
  const uint32_t four = LoadWord(weights);
  const uint32_t front = LoadWord(reinterpret_cast<const int8_t*>(codes));
  const uint32_t back = LoadWord(reinterpret_cast<const int8_t*>(codes + 2));
  uint32_t odd;
  __asm__("sxtb16 %0, %1, ror #8" : "=r"(odd) : "r"(four));
  const int16x2_t even_codes = static_cast<int16x2_t>(LowHalves(front, back));
  const int16x2_t odd_codes = static_cast<int16x2_t>(HighHalves(front, back));
  sum = __smlald(even_codes, __sxtb16(static_cast<int8x4_t>(four)), sum);
  return __smlald(odd_codes, static_cast<int16x2_t>(odd), sum);
#else
  for (int32_t k = 0; k < 4; ++k) sum += codes[k] * weights[k];
  return sum;
#endif
}

// sum + Sum_k codes[k] * weights[k].
static inline int64_t DotInt16(const int16_t* codes, const int8_t* weights, int32_t count,
                               int64_t sum) {
#if defined(EDGEAX_MICRO_DOT_HELIUM)
  for (; count >= 8; count -= 8, codes += 8, weights += 8) {
    sum = vmlaldavaq_s16(sum, vldrhq_s16(codes), vldrbq_s16(weights));
  }
  if (count > 0) {
    const mve_pred16_t part = vctp16q(static_cast<uint32_t>(count));
    sum = vmlaldavaq_s16(sum, vldrhq_z_s16(codes, part), vldrbq_z_s16(weights, part));
  }
#else
  for (; count >= 4; count -= 4, codes += 4, weights += 4) sum = DotOfFour(codes, weights, sum);
  for (; count > 0; --count) sum += *codes++ * *weights++;
#endif
  return sum;
}

}  // namespace micro
}  // namespace edgeax
