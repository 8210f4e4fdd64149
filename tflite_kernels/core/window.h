#pragma once  // core/window.h: how a kernel window slides over an image.

#include "tflite_kernels/core/types.h"

namespace edgeax {

// SAME: the output has ceil(input / stride) positions, the padding is split with the odd one at
// the end. VALID: no padding.
enum class Padding : int32_t { kSame = 0, kValid = 1 };

// All numbers in [1, 65535].
struct Window {
  int32_t kernel_height, kernel_width;
  int32_t stride_height, stride_width;
  int32_t dilation_height, dilation_width;
  Padding padding;
};

// One axis of a window over an input of `input` positions: output position o reads the inputs
// o * stride - pad + k * dilation, k in [0, kernel); those outside [0, input) count as zero.
struct Axis {
  int32_t input, output, kernel, stride, dilation, pad;
};

static inline int32_t AxisInput(const Axis& axis, int32_t output, int32_t tap) {
  return output * axis.stride - axis.pad + tap * axis.dilation;
}

static inline bool AxisHas(const Axis& axis, int32_t input) {
  return input >= 0 && input < axis.input;
}

struct WindowGeometry {
  Axis height, width;
};

// Returns kBadArgument when a number is out of its range, kBadShape when an axis of the output
// would have no position.
Status GeometryOf(const Window& window, int32_t input_height, int32_t input_width,
                  WindowGeometry* geometry);

}  // namespace edgeax
