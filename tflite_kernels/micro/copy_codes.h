#pragma once  // micro/copy_codes.h: copies of few codes.

#include "tflite_kernels/micro/types.h"

namespace edgeax {
namespace micro {

static inline void CopyCodes(const int8_t* from, int32_t size, int8_t* to) {
#if defined(__ARM_FEATURE_MVE) && (__ARM_FEATURE_MVE & 1) && !defined(EDGEAX_MICRO_PORTABLE)
  __asm__ volatile(
      "wlstp.8 lr, %[size], 2f\n"
      "1:\n"
      "vldrb.u8 q0, [%[from]], #16\n"
      "vstrb.u8 q0, [%[to]], #16\n"
      "letp lr, 1b\n"
      "2:\n"
      : [from] "+l"(from), [to] "+l"(to)
      : [size] "r"(size)
      : "q0", "lr", "cc", "memory");
#else
  for (const int8_t* end = from + (size & ~3); from != end; from += 4, to += 4) {
    __builtin_memcpy(to, from, 4);
  }
  if ((size & 2) != 0) {
    __builtin_memcpy(to, from, 2);
    from += 2;
    to += 2;
  }
  if ((size & 1) != 0) *to = *from;
#endif
}

static inline void FillCodes(int32_t code, int32_t size, int8_t* to) {
#if defined(__ARM_FEATURE_MVE) && (__ARM_FEATURE_MVE & 1) && !defined(EDGEAX_MICRO_PORTABLE)
  __asm__ volatile(
      "vdup.8 q0, %[code]\n"
      "wlstp.8 lr, %[size], 2f\n"
      "1:\n"
      "vstrb.u8 q0, [%[to]], #16\n"
      "letp lr, 1b\n"
      "2:\n"
      : [to] "+l"(to)
      : [size] "r"(size), [code] "r"(code)
      : "q0", "lr", "cc", "memory");
#else
  const uint32_t word = static_cast<uint8_t>(code) * uint32_t{0x01010101};
  for (; size >= 4; size -= 4, to += 4) __builtin_memcpy(to, &word, 4);
  for (; size > 0; --size) *to++ = static_cast<int8_t>(code);
#endif
}

}  // namespace micro
}  // namespace edgeax
