#include "tflite_kernels/core/window.h"

namespace edgeax {
namespace {

constexpr int32_t kMaxWindowNumber = 65535;

bool IsWindowNumber(int32_t value) { return value >= 1 && value <= kMaxWindowNumber; }

Status AxisOf(int32_t input, int32_t kernel, int32_t stride, int32_t dilation, Padding padding,
              Axis* axis) {
  if (!IsWindowNumber(kernel) || !IsWindowNumber(stride) || !IsWindowNumber(dilation)) {
    return Status::kBadArgument;
  }
  if (input <= 0) return Status::kBadShape;
  const int64_t reach = int64_t{kernel - 1} * dilation + 1;
  const int64_t covered = padding == Padding::kSame ? int64_t{input} : int64_t{input} - reach + 1;
  if (covered <= 0) return Status::kBadShape;
  const int64_t output = (covered + stride - 1) / stride;
  const int64_t missing = (output - 1) * stride + reach - input;
  const bool pads = padding == Padding::kSame && missing > 0;
  // Every position that AxisInput can give has to fit int32_t.
  if ((output - 1) * stride + reach > INT32_MAX) return Status::kBadShape;
  const int32_t pad = pads ? static_cast<int32_t>(missing / 2) : 0;
  *axis = {input, static_cast<int32_t>(output), kernel, stride, dilation, pad};
  return Status::kOk;
}

}  // namespace

Status GeometryOf(const Window& window, int32_t input_height, int32_t input_width,
                  WindowGeometry* geometry) {
  if (window.padding != Padding::kSame && window.padding != Padding::kValid) {
    return Status::kBadArgument;
  }
  const Status height = AxisOf(input_height, window.kernel_height, window.stride_height,
                               window.dilation_height, window.padding, &geometry->height);
  if (height != Status::kOk) return height;
  return AxisOf(input_width, window.kernel_width, window.stride_width, window.dilation_width,
                window.padding, &geometry->width);
}

}  // namespace edgeax
