#pragma once  // micro/copy.h: bytes from one place to another, by words.

#include "tflite_kernels/micro/types.h"

namespace edgeax {
namespace micro {

// Copies `count` blocks of some bytes. They begin so many bytes apart; none overlaps another place.
void CopyBlocks(int32_t block, int32_t count, const int8_t* from, int32_t from_step, int8_t* to,
                int32_t to_step);

// Copies bytes between places that do not overlap; returns the byte behind the last one written.
int8_t* CopyBytes(const int8_t* from, int8_t* to, int32_t bytes);

// Writes a pattern of 4 bytes over and over, its lowest byte first; returns the byte behind the
// last one written.
int8_t* FillBytes(uint32_t pattern, int8_t* to, int32_t bytes);

}  // namespace micro
}  // namespace edgeax
