#include "tflite_kernels/micro/copy.h"

#if defined(__ARM_FEATURE_MVE) && (__ARM_FEATURE_MVE & 1) && !defined(EDGEAX_MICRO_PORTABLE)
#include <arm_mve.h>
#define EDGEAX_MICRO_HELIUM 1
#endif

namespace edgeax {
namespace micro {
namespace {

// Whether words may lie anywhere.
#if defined(__ARM_FEATURE_UNALIGNED) || defined(__x86_64__) || defined(__aarch64__)
constexpr bool kUnalignedWords = true;
#else
constexpr bool kUnalignedWords = false;
#endif

inline bool HoldsWords(uintptr_t places) { return kUnalignedWords || (places & 3) == 0; }

inline uintptr_t AddressOf(const int8_t* place) { return reinterpret_cast<uintptr_t>(place); }

inline void StoreWord(uint32_t word, int8_t* to) {
  __builtin_memcpy(kUnalignedWords ? to : __builtin_assume_aligned(to, 4), &word, 4);
}

#if defined(EDGEAX_MICRO_HELIUM)
inline void CopyBlock(int32_t bytes, const int8_t* from, int8_t* to) {
  for (; bytes >= 16; bytes -= 16, from += 16, to += 16) vstrbq_s8(to, vldrbq_s8(from));
  if (bytes > 0) {
    const mve_pred16_t part = vctp8q(static_cast<uint32_t>(bytes));
    vstrbq_p_s8(to, vldrbq_z_s8(from, part), part);
  }
}
#else
inline uint32_t LoadWord(const int8_t* from) {
  uint32_t word;
  __builtin_memcpy(&word, kUnalignedWords ? from : __builtin_assume_aligned(from, 4), 4);
  return word;
}

inline void CopyBlock(int32_t bytes, const int8_t* from, int8_t* to) {
  const uintptr_t places = AddressOf(from) | AddressOf(to);
#if defined(__thumb2__) && !defined(EDGEAX_MICRO_PORTABLE)
  if ((places & 3) == 0) {
    for (; bytes >= 16; bytes -= 16) {
      __asm__ volatile(
          "ldmia %0!, {r4-r6, r8}\n"
          "stmia %1!, {r4-r6, r8}\n"
          : "+r"(from), "+r"(to)
          :
          : "r4", "r5", "r6", "r8", "memory");
    }
  }
#endif
  if (HoldsWords(places)) {
    for (; bytes >= 4; bytes -= 4, from += 4, to += 4) StoreWord(LoadWord(from), to);
  }
  for (; bytes > 0; --bytes) *to++ = *from++;
}
#endif

}  // namespace

void CopyBlocks(int32_t block, int32_t count, const int8_t* from, int32_t from_step, int8_t* to,
                int32_t to_step) {
  if (block == 1) {
    for (; count > 0; --count, from += from_step, to += to_step) *to = *from;
    return;
  }
  for (; count > 0; --count, from += from_step, to += to_step) CopyBlock(block, from, to);
}

int8_t* CopyBytes(const int8_t* from, int8_t* to, int32_t bytes) {
  CopyBlock(bytes, from, to);
  return to + bytes;
}

int8_t* FillBytes(uint32_t pattern, int8_t* to, int32_t bytes) {
  if (HoldsWords(AddressOf(to))) {
    for (; bytes >= 4; bytes -= 4, to += 4) StoreWord(pattern, to);
  }
  for (; bytes > 0; --bytes) {
    *to++ = static_cast<int8_t>(pattern);
    pattern = pattern >> 8 | pattern << 24;
  }
  return to;
}

}  // namespace micro
}  // namespace edgeax
