#pragma once  // micro/lanes.h: several 8-bit codes at once, where there are instructions for it.

#include "tflite_kernels/micro/types.h"

#if defined(EDGEAX_MICRO_PORTABLE)
#elif defined(__ARM_FEATURE_MVE) && (__ARM_FEATURE_MVE & 1)
#include <arm_mve.h>
#define EDGEAX_MICRO_LANES 16
#elif defined(__ARM_FEATURE_DSP)
#include "tflite_kernels/micro/words_dsp.h"
#define EDGEAX_MICRO_LANES 4
#endif

#if defined(EDGEAX_MICRO_LANES)
namespace edgeax {
namespace micro {

constexpr int32_t kLanes = EDGEAX_MICRO_LANES;

#if EDGEAX_MICRO_LANES == 16
using Lanes = int8x16_t;

static inline Lanes LoadLanes(const int8_t* from) { return vldrbq_s8(from); }
static inline void StoreLanes(int8_t* to, Lanes codes) { vstrbq_s8(to, codes); }
static inline Lanes LanesOf(int32_t code) { return vdupq_n_s8(static_cast<int8_t>(code)); }
static inline Lanes LargerLanes(Lanes a, Lanes b) { return vmaxq_s8(a, b); }
static inline Lanes SmallerLanes(Lanes a, Lanes b) { return vminq_s8(a, b); }
#else
using Lanes = uint32_t;

static inline Lanes LoadLanes(const int8_t* from) { return LoadWord(from); }
static inline void StoreLanes(int8_t* to, Lanes codes) { StoreWord(to, codes); }
static inline Lanes LanesOf(int32_t code) { return (code & 0xFF) * 0x01010101u; }

static inline Lanes LargerLanes(Lanes a, Lanes b) {
  Lanes result;
  __asm__("ssub8 %0, %1, %2\n sel %0, %1, %2" : "=&r"(result) : "r"(a), "r"(b) : "cc");
  return result;
}

static inline Lanes SmallerLanes(Lanes a, Lanes b) {
  Lanes result;
  __asm__("ssub8 %0, %1, %2\n sel %0, %2, %1" : "=&r"(result) : "r"(a), "r"(b) : "cc");
  return result;
}
#endif

}  // namespace micro
}  // namespace edgeax
#endif
