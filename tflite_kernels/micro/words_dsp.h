#pragma once  // micro/words_dsp.h: words of codes in the DSP instructions of Arm.

#include "tflite_kernels/micro/types.h"

namespace edgeax {
namespace micro {

// Four bytes, at any address.
static inline uint32_t LoadWord(const int8_t* from) {
  uint32_t word;
  __builtin_memcpy(&word, from, 4);
  return word;
}

static inline void StoreWord(int8_t* to, uint32_t word) { __builtin_memcpy(to, &word, 4); }

static inline uint32_t ZeroExtendEven(uint32_t word) {
  uint32_t halves;
  __asm__("uxtb16 %0, %1" : "=r"(halves) : "r"(word));
  return halves;
}

static inline uint32_t ZeroExtendOdd(uint32_t word) {
  uint32_t halves;
  __asm__("uxtb16 %0, %1, ror #8" : "=r"(halves) : "r"(word));
  return halves;
}

// The low halves of two words, that of the first one low.
static inline uint32_t LowHalves(uint32_t a, uint32_t b) {
  uint32_t result;
  __asm__("pkhbt %0, %1, %2, lsl #16" : "=r"(result) : "r"(a), "r"(b));
  return result;
}

static inline uint32_t HighHalves(uint32_t a, uint32_t b) {
  uint32_t result;
  __asm__("pkhtb %0, %1, %2, asr #16" : "=r"(result) : "r"(b), "r"(a));
  return result;
}

// floor(a * b / 2**32).
static inline int32_t MultiplyHigh(int32_t a, int32_t b) {
  int32_t result;
  __asm__("smmul %0, %1, %2" : "=r"(result) : "r"(a), "r"(b));
  return result;
}

// floor(a * b / 2**32 + 1/2).
static inline int32_t MultiplyHighRounded(int32_t a, int32_t b) {
  int32_t result;
  __asm__("smmulr %0, %1, %2" : "=r"(result) : "r"(a), "r"(b));
  return result;
}

static inline int32_t Saturate8(int32_t value) {
  int32_t result;
  __asm__("ssat %0, #8, %1" : "=r"(result) : "r"(value));
  return result;
}

}  // namespace micro
}  // namespace edgeax
