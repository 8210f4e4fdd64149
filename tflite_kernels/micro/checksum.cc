#include "tflite_kernels/micro/checksum.h"

namespace edgeax {
namespace micro {

uint32_t Crc32(uint32_t before, const uint8_t* bytes, int32_t count) {
  uint32_t rest = ~before;
  for (int32_t i = 0; i < count; ++i) {
    rest ^= bytes[i];
    for (int32_t bit = 0; bit < 8; ++bit) {
      rest = (rest >> 1) ^ ((rest & 1) != 0 ? 0xEDB88320u : 0u);
    }
  }
  return ~rest;
}

}  // namespace micro
}  // namespace edgeax
