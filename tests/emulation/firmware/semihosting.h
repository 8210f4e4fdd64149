#pragma once  // Semihosting: the calls by which a program without an operating system asks QEMU.

#include <cstdint>

namespace semihosting {

inline int32_t Call(uint32_t operation, const void* argument) {
  register uint32_t r0 __asm__("r0") = operation;
  register const void* r1 __asm__("r1") = argument;
  __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
  return static_cast<int32_t>(r0);
}

// Prints a zero-terminated text.
inline void Print(const char* text) { Call(0x04, text); }

// Ends the program; QEMU ends with the same code.
[[noreturn]] inline void Exit(int code) {
  constexpr uint32_t kApplicationExit = 0x20026;
  const uint32_t block[2] = {kApplicationExit, static_cast<uint32_t>(code)};
  Call(0x20, block);
  for (;;) {
  }
}

}  // namespace semihosting
