#pragma once  // micro/checksum.h: tells damaged bytes from those that were written.

#include "tflite_kernels/micro/types.h"

namespace edgeax {
namespace micro {

// The CRC-32 of zlib of bytes that follow others, whose CRC-32 is `before`.
uint32_t Crc32(uint32_t before, const uint8_t* bytes, int32_t count);

}  // namespace micro
}  // namespace edgeax
