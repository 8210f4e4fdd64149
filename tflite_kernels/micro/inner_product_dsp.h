#pragma once  // micro/inner_product_dsp.h: sums of blocks of four codes by Arm's DSP instructions.

#include <arm_acle.h>

#include "tflite_kernels/micro/types.h"

namespace edgeax {
namespace micro {

// Pairs of 16 bits: the first and the third code, the second and the fourth.
struct Block {
  int16x2_t even, odd;
};

constexpr int32_t kBlock = 4;

static inline int16x2_t OddCodes(uint32_t word) {
  int16x2_t pair;
  __asm__("sxtb16 %0, %1, ror #8" : "=r"(pair) : "r"(word));
  return pair;
}

static inline Block BlockAt(const int8_t* codes) {
  uint32_t word;
  __builtin_memcpy(&word, codes, sizeof word);
  return {__sxtb16(word), OddCodes(word)};
}

// The first one to three codes there and zeros for the rest.
__attribute__((noinline)) static uint32_t PartOfWord(const int8_t* codes, int32_t count) {
  uint32_t word = static_cast<uint8_t>(codes[0]);
  if (count > 1) word |= static_cast<uint32_t>(static_cast<uint8_t>(codes[1])) << 8;
  if (count > 2) word |= static_cast<uint32_t>(static_cast<uint8_t>(codes[2])) << 16;
  return word;
}

static inline Block PartAt(const int8_t* codes, int32_t count) {
  const uint32_t word = PartOfWord(codes, count);
  return {__sxtb16(word), OddCodes(word)};
}

static inline int32_t AddBlock(Block vector, Block weights, int32_t sum) {
  return __smlad(vector.odd, weights.odd, __smlad(vector.even, weights.even, sum));
}

}  // namespace micro
}  // namespace edgeax
