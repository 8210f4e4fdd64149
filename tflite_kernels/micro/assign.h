#pragma once  // micro/assign.h: a copy, for variables whose old content is still needed.

#include "tflite_kernels/micro/types.h"

namespace edgeax {
namespace micro {

struct AssignArgs {
  int32_t bytes;
};

// The places do not overlap.
static inline void Assign(const AssignArgs& args, const void* from, void* to) {
  __builtin_memcpy(to, from, static_cast<size_t>(args.bytes));
}

}  // namespace micro
}  // namespace edgeax
