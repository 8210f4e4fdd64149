#pragma once  // micro/depthwise_portable.h: sweeps without special instructions.

#include "tflite_kernels/micro/depthwise_sweep.h"

namespace edgeax {
namespace micro {
namespace {

template <Rounding kRounding>
void SweepRows(const DepthwiseConv2DArgs& args, const Sweep<int8_t>& sweep, int32_t) {
  SweepAny<kRounding, uint32_t>(args, sweep);
}

template <Rounding kRounding>
void SweepRows(const DepthwiseConv2DArgs& args, const Sweep<int16_t>& sweep, int32_t) {
  SweepAny<kRounding, uint64_t>(args, sweep);
}

}  // namespace
}  // namespace micro
}  // namespace edgeax
