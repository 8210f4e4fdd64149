#pragma once  // micro/sigmoid_table.h: sigmoid and tanh in 16 bits by TFLite's table.

#include "tflite_kernels/micro/types.h"

namespace edgeax {
namespace micro {

// The sigmoid of `steps` / (24 * 512) in codes of 2**-15.
int32_t TableSigmoid(int32_t steps);

// The tanh of `steps` / (48 * 256) in codes of 2**-15.
int32_t TableTanh(int32_t steps);

}  // namespace micro
}  // namespace edgeax
