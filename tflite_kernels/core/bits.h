#pragma once  // core/bits.h: streams of bits. Python twin: edgeax/formats/bits.py.

#include "tflite_kernels/core/types.h"

namespace edgeax {

// Reads fields of any width, one after the other, each from its highest bit on, beginning at the
// highest bit of the first byte.
struct BitReader {
  const uint8_t* next;
  const uint8_t* end;
  uint32_t byte, left;  // the byte read last, and how many of its bits are not read
  bool failed;          // more bits were wanted than there are, or what they said is wrong
};

static inline BitReader ReadBitsOf(Span<const uint8_t> data) {
  return {data.data, data.data + data.size, 0, 0, false};
}

// The next bit, 0 beyond the end.
static inline uint32_t ReadBit(BitReader* reader) {
  if (reader->left == 0) {
    if (reader->next == reader->end) {
      reader->failed = true;
      return 0;
    }
    reader->byte = *reader->next++;
    reader->left = 8;
  }
  --reader->left;
  return (reader->byte >> reader->left) & 1;
}

// The next field, of 0 to 32 bits.
static inline uint32_t ReadBits(BitReader* reader, int32_t width) {
  uint32_t value = 0;
  for (int32_t i = 0; i < width; ++i) value = value << 1 | ReadBit(reader);
  return value;
}

}  // namespace edgeax
