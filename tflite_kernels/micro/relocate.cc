#include "tflite_kernels/micro/relocate.h"

namespace edgeax {
namespace micro {
namespace {

struct Words {
  uint32_t a, b, c, d;
};

bool IsAligned(const uint8_t* from, const uint8_t* to) {
  return ((reinterpret_cast<uintptr_t>(from) | reinterpret_cast<uintptr_t>(to)) & 3) == 0;
}

// 16 bytes, all of which are read before the first is written.
void MoveWords(const uint8_t* from, uint8_t* to) {
  Words words;
  __builtin_memcpy(&words, __builtin_assume_aligned(from, 4), sizeof(words));
  __builtin_memcpy(__builtin_assume_aligned(to, 4), &words, sizeof(words));
}

void MoveDown(const uint8_t* from, uint8_t* to, int32_t bytes) {
  if (IsAligned(from, to)) {
    for (; bytes >= 16; bytes -= 16, from += 16, to += 16) MoveWords(from, to);
  }
  for (; bytes > 0; --bytes) *to++ = *from++;
}

void MoveUp(const uint8_t* from, uint8_t* to, int32_t bytes) {
  if (IsAligned(from, to)) {
    for (; bytes % 16 != 0; --bytes) to[bytes - 1] = from[bytes - 1];
    for (; bytes > 0; bytes -= 16) MoveWords(from + bytes - 16, to + bytes - 16);
  }
  for (; bytes > 0; --bytes) to[bytes - 1] = from[bytes - 1];
}

}  // namespace

void Relocate(const RelocateArgs& args, const void* from, void* to) {
  const auto* source = static_cast<const uint8_t*>(from);
  auto* target = static_cast<uint8_t*>(to);
  if (target < source) {
    MoveDown(source, target, args.bytes);
  } else {
    MoveUp(source, target, args.bytes);
  }
}

}  // namespace micro
}  // namespace edgeax
