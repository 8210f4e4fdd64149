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

// Bytes 0 and 2 as two int16.
static inline uint32_t ExtendEven(uint32_t word) {
  uint32_t halves;
  __asm__("sxtb16 %0, %1" : "=r"(halves) : "r"(word));
  return halves;
}

// Bytes 1 and 3.
static inline uint32_t ExtendOdd(uint32_t word) {
  uint32_t halves;
  __asm__("sxtb16 %0, %1, ror #8" : "=r"(halves) : "r"(word));
  return halves;
}

// sum + a.low * b.low + a.high * b.high.
static inline int32_t DotHalves(uint32_t a, uint32_t b, int32_t sum) {
  int32_t result;
  __asm__("smlad %0, %1, %2, %3" : "=r"(result) : "r"(a), "r"(b), "r"(sum));
  return result;
}

static inline int32_t AddLowLow(uint32_t a, uint32_t b, int32_t sum) {
  int32_t result;
  __asm__("smlabb %0, %1, %2, %3" : "=r"(result) : "r"(a), "r"(b), "r"(sum));
  return result;
}

static inline int32_t AddLowHigh(uint32_t a, uint32_t b, int32_t sum) {
  int32_t result;
  __asm__("smlabt %0, %1, %2, %3" : "=r"(result) : "r"(a), "r"(b), "r"(sum));
  return result;
}

static inline int32_t AddHighLow(uint32_t a, uint32_t b, int32_t sum) {
  int32_t result;
  __asm__("smlatb %0, %1, %2, %3" : "=r"(result) : "r"(a), "r"(b), "r"(sum));
  return result;
}

static inline int32_t AddHighHigh(uint32_t a, uint32_t b, int32_t sum) {
  int32_t result;
  __asm__("smlatt %0, %1, %2, %3" : "=r"(result) : "r"(a), "r"(b), "r"(sum));
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
