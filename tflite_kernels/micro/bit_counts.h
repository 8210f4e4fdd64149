#pragma once  // micro/bit_counts.h: how many bits of two rows differ.

#include "tflite_kernels/micro/types.h"

namespace edgeax {
namespace micro {
namespace {

// Counts of pairs of bits, then of groups of 4.
inline uint32_t CountsOf4(uint32_t bits) {
  bits -= bits >> 1 & 0x55555555u;
  return (bits & 0x33333333u) + (bits >> 2 & 0x33333333u);
}

inline uint32_t CountsOf8(uint32_t counts_of_4) {
  return (counts_of_4 & 0x0F0F0F0Fu) + (counts_of_4 >> 4 & 0x0F0F0F0Fu);
}

inline int32_t Total(uint32_t counts_of_8) {
  return static_cast<int32_t>(
      ((counts_of_8 & 0xFF00FFu) + (counts_of_8 >> 8 & 0xFF00FFu)) * 0x10001u >> 16);
}

// One of 3 bits, and two of them: a full adder in each bit.
struct Added {
  uint32_t one, two;
};
inline Added Add(uint32_t a, uint32_t b, uint32_t c) {
  const uint32_t half = a ^ b;
  return {half ^ c, (a & b) | (half & c)};
}

// Bits of `count` words that `difference(i)` gives. 7 words at a time are added bit by bit.
template <typename Difference>
inline int32_t CountBits(int32_t count, Difference difference) {
  int32_t total = 0, i = 0;
  for (; i + 7 <= count; i += 7) {
    const Added first = Add(difference(i), difference(i + 1), difference(i + 2));
    const Added second = Add(difference(i + 3), difference(i + 4), difference(i + 5));
    const Added ones = Add(first.one, second.one, difference(i + 6));
    const Added twos = Add(first.two, second.two, ones.two);
    total += Total(CountsOf8(CountsOf4(ones.one))) + 2 * Total(CountsOf8(CountsOf4(twos.one))) +
             4 * Total(CountsOf8(CountsOf4(twos.two)));
  }
  for (; i + 3 <= count; i += 3) {
    const Added sum = Add(difference(i), difference(i + 1), difference(i + 2));
    total += Total(CountsOf8(CountsOf4(sum.one))) + 2 * Total(CountsOf8(CountsOf4(sum.two)));
  }
  for (; i < count; ++i) total += Total(CountsOf8(CountsOf4(difference(i))));
  return total;
}

}  // namespace
}  // namespace micro
}  // namespace edgeax
