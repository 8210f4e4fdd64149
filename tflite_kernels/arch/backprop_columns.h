#pragma once  // arch/backprop_columns.h: what a kernel's taps read for a block of positions,
              // copied.

#include "tflite_kernels/arch/float_matmul.h"
#include "tflite_kernels/core/gradients.h"

namespace edgeax {
namespace {

// Positions [begin, begin + count) of the output, numbered through the batch.
struct Block {
  int32_t begin, count;
};

// The window of a position is copied so that its numbers lie beside each other: by kernel column,
// kernel row and channel. Where windows of neighbors overlap they share columns.
struct Columns {
  int32_t channels;  // of each pixel
  bool shares;
  int32_t step;  // numbers from a window to the next one
  int32_t rows;  // numbers of a window
};

static inline Columns ColumnsOf(const WindowGeometry& window, int32_t channels) {
  const Axis& width = window.width;
  const bool shares = width.dilation == 1 && width.stride <= width.kernel;
  const int32_t column = window.height.kernel * channels;
  return {channels, shares, (shares ? width.stride : width.kernel) * column, width.kernel * column};
}

// Whether each window is one pixel of the image.
static inline bool IsPointwise(const WindowGeometry& window) {
  const auto is_plain = [](const Axis& axis) {
    return axis.kernel == 1 && axis.pad == 0 && AxisHas(axis, AxisInput(axis, axis.output - 1, 0));
  };
  return is_plain(window.height) && is_plain(window.width);
}

// Numbers that the windows of a block take at most, and kFloatLanes behind them.
static inline int64_t NumbersOf(const Columns& columns) {
  return int64_t{columns.rows} * kGradientPositions + kFloatLanes;
}

// Copies numbers, or writes zeros where `from` is null.
template <typename Simd>
void CopyNumbers(const float* from, int32_t count, float* to) {
  int32_t i = 0;
  if (from == nullptr) {
    for (; i + kFloatLanes <= count; i += kFloatLanes) Simd::Store(Simd::Zero(), to + i);
    for (; i < count; ++i) to[i] = 0.0f;
    return;
  }
  for (; i + kFloatLanes <= count; i += kFloatLanes) Simd::Store(Simd::Load(from + i), to + i);
  for (; i < count; ++i) to[i] = from[i];
}

// Writes the windows of a block and where each begins. copy(pixel, to) copies the channels of a
// pixel of the batch, or zeros where its number is negative.
template <typename CopyPixel>
void GatherColumns(const Shape4& input, const WindowGeometry& window, const Columns& columns,
                   const Block& block, float* to, int32_t* starts, const CopyPixel& copy) {
  const Axis &height = window.height, &width = window.width;
  float* next = to;
  for (int32_t done = 0; done < block.count;) {
    const int32_t row = (block.begin + done) / width.output;
    const int32_t x = (block.begin + done) % width.output;
    const int32_t n = row / height.output, y = row % height.output;
    const int32_t left = block.count - done, in_row = width.output - x;
    const int32_t count = left < in_row ? left : in_row;
    const int32_t wide =
        columns.shares ? (count - 1) * width.stride + width.kernel : count * width.kernel;
    for (int32_t i = 0; i < count; ++i, ++done) {
      starts[done] = static_cast<int32_t>(next - to) + i * columns.step;
    }
    const int32_t step = height.kernel * columns.channels;
    for (int32_t ky = 0; ky < height.kernel; ++ky) {
      const int32_t line = AxisInput(height, y, ky);
      const bool has_line = AxisHas(height, line);
      const int64_t first = (int64_t{n} * input.height + line) * input.width;
      float* to_column = next + ky * columns.channels;
      for (int32_t c = 0; c < wide; ++c, to_column += step) {
        const int32_t column = columns.shares
                                   ? AxisInput(width, x, 0) + c
                                   : AxisInput(width, x + c / width.kernel, c % width.kernel);
        copy(has_line && AxisHas(width, column) ? first + column : int64_t{-1}, to_column);
      }
    }
    next += size_t(wide) * step;
  }
  for (int32_t i = 0; i < kFloatLanes; ++i) next[i] = 0.0f;  // read, and not used
}

// The row of the kernel's gradient that a number of a window belongs to, where its pixels have
// `channels`, of which those from `first` on are copied.
static inline int32_t KernelRow(const WindowGeometry& window, const Columns& columns,
                                int32_t number, int32_t channels, int32_t first) {
  const int32_t tap = number / columns.channels;
  const int32_t kx = tap / window.height.kernel, ky = tap % window.height.kernel;
  return (ky * window.width.kernel + kx) * channels + first + number % columns.channels;
}

}  // namespace
}  // namespace edgeax
