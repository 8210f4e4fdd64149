#pragma once  // micro/relocate.h: memory that changes its place.

#include "tflite_kernels/micro/types.h"

namespace edgeax {
namespace micro {

struct RelocateArgs {
  int32_t bytes;
};

// Copies as if through a buffer: `from` and `to` may overlap.
void Relocate(const RelocateArgs& args, const void* from, void* to);

}  // namespace micro
}  // namespace edgeax
