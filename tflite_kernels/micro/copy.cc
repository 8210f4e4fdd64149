#include "tflite_kernels/micro/copy.h"

namespace edgeax {
namespace micro {
namespace {

// Whether words may lie anywhere.
#if defined(__ARM_FEATURE_UNALIGNED) || defined(__x86_64__) || defined(__aarch64__)
constexpr bool kUnalignedWords = true;
#else
constexpr bool kUnalignedWords = false;
#endif

inline bool HoldsWords(const void* place) {
  return kUnalignedWords || (reinterpret_cast<uintptr_t>(place) & 3) == 0;
}

inline uint32_t LoadWord(const int8_t* from) {
  uint32_t word;
  __builtin_memcpy(&word, kUnalignedWords ? from : __builtin_assume_aligned(from, 4), 4);
  return word;
}

inline void StoreWord(uint32_t word, int8_t* to) {
  __builtin_memcpy(kUnalignedWords ? to : __builtin_assume_aligned(to, 4), &word, 4);
}

}  // namespace

int8_t* CopyBytes(const int8_t* from, int8_t* to, int32_t bytes) {
  if (HoldsWords(from) && HoldsWords(to)) {
    for (; bytes >= 16; bytes -= 16, from += 16, to += 16) {
      const uint32_t first = LoadWord(from), second = LoadWord(from + 4);
      const uint32_t third = LoadWord(from + 8), fourth = LoadWord(from + 12);
      StoreWord(first, to);
      StoreWord(second, to + 4);
      StoreWord(third, to + 8);
      StoreWord(fourth, to + 12);
    }
    for (; bytes >= 4; bytes -= 4, from += 4, to += 4) StoreWord(LoadWord(from), to);
  }
  for (; bytes > 0; --bytes) *to++ = *from++;
  return to;
}

int8_t* FillBytes(uint32_t pattern, int8_t* to, int32_t bytes) {
  if (HoldsWords(to)) {
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
