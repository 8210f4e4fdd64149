#pragma once  // core/range_coding.h: an adaptive binary range decoder whose probabilities are sums
              // of learned weights. Python twin: edgeax/formats/range_coding.py.

#include "tflite_kernels/core/types.h"

namespace edgeax {

constexpr int32_t kNumberWidths = 33;  // a number has 0 to 32 bits
constexpr int32_t kNumberContexts = 64 + kNumberWidths;

// A bit stands in some contexts, each of which has a weight, at first 0. Their sum is the logit of
// the probability that the bit is 1; once the bit is known, each weight makes its own Newton step
// towards it, the shorter the more it has been told. Weights and probabilities are in 2**-16.
struct RangeDecoder {
  const uint8_t* next;
  const uint8_t* end;
  uint32_t range, code;
  uint32_t* weights;  // of each context, int32 in two's complement
  uint32_t* told;     // to each context: the sum of p * (1 - p) of its bits
};

// Words of memory for `contexts`.
static inline int32_t RangeDecoderWords(int32_t contexts) { return 2 * contexts; }

static inline uint32_t NextRangeByte(RangeDecoder* coder) {
  return coder->next == coder->end ? 0 : *coder->next++;  // zeros at the end are left out
}

// Begins to decode; `words` has RangeDecoderWords(contexts).
static inline RangeDecoder StartRangeDecoder(Span<const uint8_t> data, int32_t contexts,
                                             uint32_t* words) {
  for (int32_t i = 0; i < RangeDecoderWords(contexts); ++i) words[i] = 0;
  RangeDecoder coder = {data.data, data.data + data.size, UINT32_MAX, 0, words, words + contexts};
  for (int32_t i = 0; i < 4; ++i) coder.code = coder.code << 8 | NextRangeByte(&coder);
  return coder;
}

// A bit that is 1 with the probability `one` in (0, 2**16).
static inline bool DecodeChance(RangeDecoder* coder, uint32_t one) {
  const uint32_t split = (coder->range >> 16) * one;
  const bool bit = coder->code < split;
  if (bit) {
    coder->range = split;
  } else {
    coder->code -= split;
    coder->range -= split;
  }
  while (coder->range < 1u << 24) {
    coder->range <<= 8;
    coder->code = coder->code << 8 | NextRangeByte(coder);
  }
  return bit;
}

// The probability that a bit of this logit is 1.
static inline uint32_t ChanceOf(int32_t logit) {
  constexpr uint32_t kLast = (10u << 16) - 1;
  static constexpr uint16_t kUnlikely[] = {32768, 24743, 17625, 11955, 7812, 4971, 3108,
                                           1921,  1179,  720,   439,   267,  162,  98,
                                           60,    36,    22,    13,    8,    5,    3};
  uint32_t size = static_cast<uint32_t>(logit);
  if (logit < 0) size = 0 - size;
  if (size > kLast) size = kLast;
  const uint32_t below = kUnlikely[size >> 15];
  const uint32_t drop = below - kUnlikely[(size >> 15) + 1];
  const uint32_t unlikely = below - (drop * (size & 0x7FFF) >> 15);
  return logit < 0 ? unlikely : (1u << 16) - unlikely;
}

// A bit in its contexts.
template <size_t kCount>
static inline bool DecodeBit(RangeDecoder* coder, const int32_t (&contexts)[kCount]) {
  constexpr uint32_t kOne = 1u << 16, kMostTold = 49u << 16;
  uint32_t logit = 0;
  for (const int32_t context : contexts) logit += coder->weights[context];
  const uint32_t one = ChanceOf(static_cast<int32_t>(logit));
  const bool bit = DecodeChance(coder, one);
  const uint32_t error = (bit ? kOne - one : one) << 15;
  for (const int32_t context : contexts) {
    uint32_t* told = coder->told + context;
    const uint32_t step = error / ((kOne + *told) >> 1);
    coder->weights[context] += bit ? step : 0 - step;
    if (*told < kMostTold) *told += one * (kOne - one) >> 16;
  }
  return bit;
}

// One of `count` symbols, of which each bit has a context behind `first`.
static inline int32_t DecodeSymbol(RangeDecoder* coder, int32_t count, int32_t first) {
  int32_t width = 0;
  while (1 << width < count) ++width;
  int32_t node = 1;
  for (int32_t shift = width - 1; shift >= 0; --shift) {
    const bool has_choice = ((2 * node + 1) << shift) - (1 << width) < count;
    node = 2 * node + (has_choice && DecodeBit(coder, {first + node}) ? 1 : 0);
  }
  return node - (1 << width);
}

// A number of 32 bits; its kind has kNumberContexts from `first` on.
static inline uint32_t DecodeNumber(RangeDecoder* coder, int32_t first) {
  const int32_t width = DecodeSymbol(coder, kNumberWidths, first);
  if (width < 2) return static_cast<uint32_t>(width);
  uint32_t number = DecodeBit(coder, {first + 64 + width}) ? 3 : 2;
  for (int32_t i = 2; i < width; ++i) number = number << 1 | DecodeChance(coder, 1u << 15);
  return number;
}

}  // namespace edgeax
