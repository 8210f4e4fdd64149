#pragma once  // arch/lookup_planes.h: sums of products that are looked up byte by byte.

#include "tflite_kernels/core/types.h"

namespace edgeax {

// Tables of 16 sums of products are held as three planes of 16 bytes each, the lowest bytes first,
// so that a shuffle of bytes looks up a plane. Sums are moved up by kPlaneOffset to be positive;
// where all fit 16 bits and sign, that makes every byte of the third plane kHighByte, and nobody
// need look.
constexpr int32_t kPlanes = 3;
constexpr int32_t kPlaneOffset = (1 << 23) + (1 << 15);
constexpr int32_t kHighByte = 0x80;

// What two planes are moved up by.
constexpr int32_t kNarrowOffset = kPlaneOffset - (kHighByte << 16);

// Bytes of so many places still fit a sum of 16 bits.
constexpr int32_t kPlanePlaces = 256;

// What takes the sum over so many places back; it wraps around, as the sum did.
static inline int32_t MovedBack(bool is_wide, int32_t places) {
  const uint32_t offset = static_cast<uint32_t>(is_wide ? kPlaneOffset : kNarrowOffset);
  return static_cast<int32_t>(0u - offset * static_cast<uint32_t>(places));
}

}  // namespace edgeax
