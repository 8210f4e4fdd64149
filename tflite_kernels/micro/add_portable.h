#pragma once  // micro/add_portable.h: sums of two runs of codes without special instructions.

#include "tflite_kernels/micro/add_steps.h"

namespace edgeax {
namespace micro {
namespace {

template <typename Args, typename Code>
void AddRun(const Args& args, int32_t count, const Code* a, const Code* b, Code* output) {
  AddSteps(args, count, a, 1, b, 1, output);
}

}  // namespace
}  // namespace micro
}  // namespace edgeax
