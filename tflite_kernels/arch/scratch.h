#pragma once  // arch/scratch.h: cutting one scratch span into aligned parts.

#include "tflite_kernels/core/types.h"

namespace edgeax {

// Parts start on a cache line, wherever the span itself starts.
constexpr size_t kScratchAlignment = 64;

static inline size_t AlignedBytes(size_t bytes) {
  return (bytes + kScratchAlignment - 1) / kScratchAlignment * kScratchAlignment;
}

static inline uint8_t* AlignedStart(uint8_t* scratch) {
  const uintptr_t address = reinterpret_cast<uintptr_t>(scratch);
  return scratch + (AlignedBytes(address) - address);
}

}  // namespace edgeax
