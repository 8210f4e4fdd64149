#include "tflite_kernels/core/gradients.h"

#include "tflite_kernels/core/multiply_add.h"

namespace edgeax {
namespace {

constexpr int32_t kMaxWindowNumber = 65535;

bool IsWindowNumber(int32_t value) { return value >= 1 && value <= kMaxWindowNumber; }

// Whether all positions fit int32_t.
Status CheckAxis(const Axis& axis, int32_t input) {
  if (!IsWindowNumber(axis.kernel) || !IsWindowNumber(axis.stride) ||
      !IsWindowNumber(axis.dilation) || axis.pad < 0 || axis.pad > kMaxWindowNumber) {
    return Status::kBadArgument;
  }
  if (axis.input != input || axis.output < 1) return Status::kBadShape;
  const int64_t last = int64_t{axis.output - 1} * axis.stride;
  const int64_t reach = int64_t{axis.kernel - 1} * axis.dilation + 1;
  // Room for a block of positions behind the last one, of kernels that compute whole blocks.
  return last + reach + int64_t{kGradientPositions} * axis.stride <= INT32_MAX ? Status::kOk
                                                                               : Status::kBadShape;
}

Status CheckWindow(const WindowGeometry& window, const Shape4& input) {
  const Status height = CheckAxis(window.height, input.height);
  if (height != Status::kOk) return height;
  return CheckAxis(window.width, input.width);
}

Status CheckConvolution(const Conv2DGradientArgs& args, int64_t* input, int64_t* kernel,
                        int64_t* output) {
  const Status window = CheckWindow(args.window, args.input);
  if (window != Status::kOk) return window;
  if (args.groups < 1) return Status::kBadArgument;
  const Shape4& in = args.input;
  if (in.channels % args.groups != 0 || args.output_channels % args.groups != 0) {
    return Status::kBadShape;
  }
  *input = CheckedProduct(in.batch, in.height, in.width, in.channels);
  *kernel = CheckedProduct(args.window.height.kernel, args.window.width.kernel,
                           in.channels / args.groups, args.output_channels);
  *output = CheckedProduct(in.batch, args.window.height.output, args.window.width.output,
                           args.output_channels);
  return *input > 0 && *kernel > 0 && *output > 0 ? Status::kOk : Status::kBadShape;
}

// Every window of a pooling layer has a number of the image.
bool AllHaveNumbers(const Axis& axis) {
  const int64_t first = -int64_t{axis.pad};
  const int64_t last = first + int64_t{axis.output - 1} * axis.stride;
  return first + axis.kernel > 0 && last < axis.input;
}

Status CheckPool(const PoolGradientArgs& args, int64_t* input, int64_t* output) {
  const Status window = CheckWindow(args.window, args.input);
  if (window != Status::kOk) return window;
  const Axis &height = args.window.height, &width = args.window.width;
  if (height.dilation != 1 || width.dilation != 1) return Status::kBadArgument;
  if (!AllHaveNumbers(height) || !AllHaveNumbers(width)) return Status::kBadShape;
  const Shape4& in = args.input;
  *input = CheckedProduct(in.batch, in.height, in.width, in.channels);
  *output = CheckedProduct(in.batch, height.output, width.output, in.channels);
  return *input > 0 && *output > 0 ? Status::kOk : Status::kBadShape;
}

size_t PixelOf(const Shape4& image, int32_t batch, int32_t y, int32_t x) {
  return ((size_t(batch) * image.height + y) * image.width + x) * image.channels;
}

// The gradient of one weight: of tap (ky, kx), which reads channel `input` for channel `output`.
float WeightGradient(const Conv2DGradientArgs& args, const GradientTensors& tensors, int32_t ky,
                     int32_t kx, int32_t input, int32_t output) {
  const Axis &height = args.window.height, &width = args.window.width;
  const float* gradient = tensors.gradients.data + output;
  float total = 0.0f, sum = 0.0f;
  int32_t position = 0;
  for (int32_t n = 0; n < args.input.batch; ++n) {
    for (int32_t y = 0; y < height.output; ++y) {
      const int32_t row = AxisInput(height, y, ky);
      for (int32_t x = 0; x < width.output; ++x, ++position, gradient += args.output_channels) {
        if (position > 0 && position % kGradientPositions == 0) {
          total = position == kGradientPositions ? sum : total + sum;
          sum = 0.0f;
        }
        const int32_t column = AxisInput(width, x, kx);
        const bool is_inside = AxisHas(height, row) && AxisHas(width, column);
        const float value =
            is_inside ? tensors.values.data[PixelOf(args.input, n, row, column) + input] : 0.0f;
        sum = MultiplyAdd(value, *gradient, sum);
      }
    }
  }
  return position <= kGradientPositions ? sum : total + sum;
}

// The position whose tap reads `input`, which may lie outside of the output; false where there is
// none for the stride.
bool PositionOf(const Axis& axis, int32_t input, int32_t tap, int32_t* position) {
  const int64_t start = int64_t{input} + axis.pad - int64_t{tap} * axis.dilation;
  if (start % axis.stride != 0) return false;
  *position = static_cast<int32_t>(start / axis.stride);
  return true;
}

// The gradient of one number of the input.
float InputGradient(const Conv2DGradientArgs& args, const GradientTensors& tensors, int32_t n,
                    int32_t row, int32_t column, int32_t input) {
  const Axis &height = args.window.height, &width = args.window.width;
  const int32_t inputs = args.input.channels / args.groups;
  const int32_t outputs = args.output_channels / args.groups;
  const int32_t first = input / inputs * outputs;
  float sum = 0.0f;
  for (int32_t ky = 0; ky < height.kernel; ++ky) {
    int32_t y = 0, x = 0;
    if (!PositionOf(height, row, ky, &y)) continue;
    for (int32_t kx = 0; kx < width.kernel; ++kx) {
      if (!PositionOf(width, column, kx, &x)) continue;
      const bool is_inside = y >= 0 && y < height.output && x >= 0 && x < width.output;
      const size_t position =
          is_inside ? (size_t(n) * height.output + y) * width.output + x : size_t{0};
      const float* gradient = tensors.gradients.data + position * args.output_channels + first;
      const size_t tap = (size_t(ky) * width.kernel + kx) * inputs + input % inputs;
      const float* weight = tensors.values.data + tap * args.output_channels + first;
      for (int32_t o = 0; o < outputs; ++o) {
        sum = MultiplyAdd(is_inside ? gradient[o] : 0.0f, weight[o], sum);
      }
    }
  }
  return sum;
}

// Calls visit(position, window rows, window columns) for all positions of the output.
template <typename Visit>
void ForEachWindow(const PoolGradientArgs& args, const Visit& visit) {
  const Axis &height = args.window.height, &width = args.window.width;
  size_t position = 0;
  for (int32_t n = 0; n < args.input.batch; ++n) {
    for (int32_t y = 0; y < height.output; ++y) {
      for (int32_t x = 0; x < width.output; ++x) {
        visit(n, position++, WindowRange(height, y), WindowRange(width, x));
      }
    }
  }
}

void Clear(Span<float> numbers) {
  for (size_t i = 0; i < numbers.size; ++i) numbers.data[i] = 0.0f;
}

template <ActivationKind kKind>
void ActivationGradients(const ActivationGradientArgs& args, const GradientTensors& tensors) {
  for (int32_t i = 0; i < args.count; ++i) {
    tensors.output.data[i] =
        ActivationGradientOf<kKind>(tensors.gradients.data[i], tensors.values.data[i], args.alpha);
  }
}

}  // namespace

Status CheckBackpropFilter(const Conv2DGradientArgs& args, GradientSizes* sizes) {
  return CheckConvolution(args, &sizes->values, &sizes->output, &sizes->gradients);
}

Status CheckBackpropInput(const Conv2DGradientArgs& args, GradientSizes* sizes) {
  return CheckConvolution(args, &sizes->output, &sizes->values, &sizes->gradients);
}

Status CheckMaxPoolGrad(const PoolGradientArgs& args, GradientSizes* sizes) {
  const Status status = CheckPool(args, &sizes->output, &sizes->gradients);
  sizes->values = sizes->output;
  return status;
}

Status CheckAvgPoolGrad(const PoolGradientArgs& args, GradientSizes* sizes) {
  sizes->values = 0;
  return CheckPool(args, &sizes->output, &sizes->gradients);
}

Status CheckActivationGrad(const ActivationGradientArgs& args, GradientSizes* sizes) {
  if (args.kind < ActivationKind::kRelu || args.kind > ActivationKind::kElu) {
    return Status::kBadArgument;
  }
  *sizes = {args.count, args.count, args.count};
  return args.count >= 1 ? Status::kOk : Status::kBadShape;
}

Status Conv2DBackpropFilter(const Conv2DGradientArgs& args, const GradientTensors& tensors) {
  GradientSizes sizes;
  Status status = CheckBackpropFilter(args, &sizes);
  if (status == Status::kOk) status = CheckGradientTensors(sizes, tensors);
  if (status != Status::kOk) return status;
  const int32_t inputs = args.input.channels / args.groups;
  const int32_t outputs = args.output_channels / args.groups;
  float* gradient = tensors.output.data;
  for (int32_t ky = 0; ky < args.window.height.kernel; ++ky) {
    for (int32_t kx = 0; kx < args.window.width.kernel; ++kx) {
      for (int32_t i = 0; i < inputs; ++i) {
        for (int32_t o = 0; o < args.output_channels; ++o) {
          *gradient++ = WeightGradient(args, tensors, ky, kx, o / outputs * inputs + i, o);
        }
      }
    }
  }
  return Status::kOk;
}

Status Conv2DBackpropInput(const Conv2DGradientArgs& args, const GradientTensors& tensors) {
  GradientSizes sizes;
  Status status = CheckBackpropInput(args, &sizes);
  if (status == Status::kOk) status = CheckGradientTensors(sizes, tensors);
  if (status != Status::kOk) return status;
  float* gradient = tensors.output.data;
  for (int32_t n = 0; n < args.input.batch; ++n) {
    for (int32_t y = 0; y < args.input.height; ++y) {
      for (int32_t x = 0; x < args.input.width; ++x) {
        for (int32_t i = 0; i < args.input.channels; ++i) {
          *gradient++ = InputGradient(args, tensors, n, y, x, i);
        }
      }
    }
  }
  return Status::kOk;
}

Status MaxPoolGrad(const PoolGradientArgs& args, const GradientTensors& tensors) {
  GradientSizes sizes;
  Status status = CheckMaxPoolGrad(args, &sizes);
  if (status == Status::kOk) status = CheckGradientTensors(sizes, tensors);
  if (status != Status::kOk) return status;
  Clear(tensors.output);
  ForEachWindow(args, [&](int32_t n, size_t position, Range rows, Range columns) {
    for (int32_t c = 0; c < args.input.channels; ++c) {
      size_t highest = PixelOf(args.input, n, rows.begin, columns.begin) + c;
      for (int32_t y = rows.begin; y < rows.end; ++y) {
        for (int32_t x = columns.begin; x < columns.end; ++x) {
          const size_t number = PixelOf(args.input, n, y, x) + c;
          if (tensors.values.data[number] > tensors.values.data[highest]) highest = number;
        }
      }
      tensors.output.data[highest] += tensors.gradients.data[position * args.input.channels + c];
    }
  });
  return Status::kOk;
}

Status AvgPoolGrad(const PoolGradientArgs& args, const GradientTensors& tensors) {
  GradientSizes sizes;
  Status status = CheckAvgPoolGrad(args, &sizes);
  if (status == Status::kOk) status = CheckGradientTensors(sizes, tensors);
  if (status != Status::kOk) return status;
  Clear(tensors.output);
  ForEachWindow(args, [&](int32_t n, size_t position, Range rows, Range columns) {
    const int32_t count = (rows.end - rows.begin) * (columns.end - columns.begin);
    const float part = 1.0f / static_cast<float>(count);
    const float* gradients = tensors.gradients.data + position * args.input.channels;
    for (int32_t y = rows.begin; y < rows.end; ++y) {
      for (int32_t x = columns.begin; x < columns.end; ++x) {
        float* output = tensors.output.data + PixelOf(args.input, n, y, x);
        for (int32_t c = 0; c < args.input.channels; ++c) {
          output[c] = MultiplyAdd(gradients[c], part, output[c]);
        }
      }
    }
  });
  return Status::kOk;
}

Status ActivationGrad(const ActivationGradientArgs& args, const GradientTensors& tensors) {
  GradientSizes sizes;
  Status status = CheckActivationGrad(args, &sizes);
  if (status == Status::kOk) status = CheckGradientTensors(sizes, tensors);
  if (status != Status::kOk) return status;
  WithKind(args.kind,
           [&](auto kind) { ActivationGradients<decltype(kind)::kKind>(args, tensors); });
  return Status::kOk;
}

}  // namespace edgeax
