#pragma once  // core/packing.h: how codes of 4, 2 or 1 bits lie in bytes. Python twin:
              // edgeax/formats/packing.py.

#include "tflite_kernels/core/types.h"

namespace edgeax {

// Entries of the largest codebook, which codes of 4 bits point into.
constexpr int32_t kCodebookEntries = 16;

// Bits of a code that points into a codebook of so many entries: 4, 2 or 1 for 16, 4 or 2 of them;
// 0 for any other number, which no codebook has.
static inline int32_t CodeBits(size_t entries) {
  return entries == 16 ? 4 : entries == 4 ? 2 : entries == 2 ? 1 : 0;
}

// Bytes of a row of `count` codes; bits of the last byte that no code has are ignored.
// kMaxElements codes at most.
static inline int32_t PackedBytes(int32_t count, int32_t bits) {
  return count / 8 * bits + (count % 8 * bits + 7) / 8;
}

// Code number `index` of a row. The first code lies in the lowest bits: the codes 1, 2, 3 of 4 bits
// are the bytes 0x21, 0x03, of 2 bits the byte 0x39.
static inline uint8_t Unpack(const uint8_t* row, int32_t index, int32_t bits) {
  const uint64_t first = static_cast<uint64_t>(index) * static_cast<uint32_t>(bits);
  return static_cast<uint8_t>((row[first >> 3] >> (first & 7)) & ((1 << bits) - 1));
}

}  // namespace edgeax
