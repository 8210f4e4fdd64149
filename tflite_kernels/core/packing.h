#pragma once  // core/packing.h: how codes of 4 bits and of 1 bit lie in bytes. Python twin:
              // edgeax/formats/packing.py.

#include "tflite_kernels/core/types.h"

namespace edgeax {

// Entries of the codebook that a 4-bit code points into.
constexpr int32_t kCodebookEntries = 16;

// Bytes of a row of `count` 4-bit codes, two per byte; the spare nibble of an odd row is ignored.
// kMaxElements codes at most.
static inline int32_t PackedBytes4(int32_t count) { return count / 2 + (count & 1); }

// Code number `index` of a row. The first code lies in the low nibble: the codes 1, 2, 3 are the
// bytes 0x21, 0x03.
static inline uint8_t Unpack4(const uint8_t* row, int32_t index) {
  return static_cast<uint8_t>((row[index >> 1] >> ((index & 1) * 4)) & 15);
}

// Bytes of a row of `count` bits, the first in the lowest bit; the spare bits of the last byte are
// ignored. kMaxElements bits at most.
static inline int32_t PackedBytes1(int32_t count) { return count / 8 + (count % 8 != 0 ? 1 : 0); }

static inline int32_t Unpack1(const uint8_t* row, int32_t index) {
  return (row[index >> 3] >> (index & 7)) & 1;
}

}  // namespace edgeax
