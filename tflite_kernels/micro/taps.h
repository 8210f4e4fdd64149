#pragma once  // micro/taps.h: which pixels of an image a window reads.

#include "tflite_kernels/micro/convolution_shape.h"

namespace edgeax {
namespace micro {

// Calls use(output pixel, tap, input pixel) for every tap of every window that lies in the image,
// pixels and taps counted row by row.
template <typename Use>
inline void ForEachTap(const ConvolutionShape& s, int32_t output_y, int32_t output_x, Use use) {
  const int32_t output = output_y * s.output_width + output_x;
  for (int32_t i = 0; i < s.kernel_height; ++i) {
    const int32_t y = output_y * s.stride_height - s.pad_top + i * s.dilation_height;
    if (y < 0 || y >= s.input_height) continue;
    for (int32_t j = 0; j < s.kernel_width; ++j) {
      const int32_t x = output_x * s.stride_width - s.pad_left + j * s.dilation_width;
      if (x < 0 || x >= s.input_width) continue;
      use(output, i * s.kernel_width + j, y * s.input_width + x);
    }
  }
}

template <typename Use>
inline void ForEachTap(const ConvolutionShape& s, Use use) {
  for (int32_t y = 0; y < s.output_height; ++y) {
    for (int32_t x = 0; x < s.output_width; ++x) ForEachTap(s, y, x, use);
  }
}

// Calls use(output pixel, input pixel) for every window whose tap (i, j) lies in the image.
template <typename Use>
inline void ForEachPixel(const ConvolutionShape& s, int32_t i, int32_t j, Use use) {
  for (int32_t output_y = 0; output_y < s.output_height; ++output_y) {
    const int32_t y = output_y * s.stride_height - s.pad_top + i * s.dilation_height;
    if (y < 0 || y >= s.input_height) continue;
    for (int32_t output_x = 0; output_x < s.output_width; ++output_x) {
      const int32_t x = output_x * s.stride_width - s.pad_left + j * s.dilation_width;
      if (x < 0 || x >= s.input_width) continue;
      use(output_y * s.output_width + output_x, y * s.input_width + x);
    }
  }
}

}  // namespace micro
}  // namespace edgeax
