#include "tflite_kernels/core/sign_sum.h"

namespace edgeax {
namespace {

struct Position {
  int32_t batch, y, x, channel;
};

// Bases and planes of one sum of products.
struct Part {
  int32_t base, plane;
};

// Products of one tap of one plane and base; `pixel` is null outside the image.
int32_t TapSum(const SignSumArgs& args, const SignSumTensors& tensors, const int8_t* pixel,
               const uint8_t* tap, int32_t count, int32_t plane) {
  const int32_t* thresholds = tensors.thresholds.data + plane * args.thresholds;
  int32_t sum = 0;
  for (int32_t i = 0; i < count; ++i) {
    const int32_t bit =
        pixel != nullptr && SignIsNegative(pixel[i], thresholds, args.thresholds) ? 1 : 0;
    sum += bit == Unpack(tap, i, 1) ? 1 : -1;
  }
  return pixel == nullptr ? sum * args.pad_value : sum;
}

// Products of the window at one output position.
int32_t WindowSum(const SignSumArgs& args, const BinaryConv2DGeometry& geometry,
                  const SignSumTensors& tensors, const Position& at, const Part& part) {
  const Axis& height = geometry.conv2d.window.height;
  const Axis& width = geometry.conv2d.window.width;
  const int32_t inputs = geometry.conv2d.group_inputs;
  const int32_t first_input = at.channel / geometry.conv2d.group_outputs * inputs;
  const size_t row = size_t(part.base) * args.conv2d.output_channels + at.channel;
  const uint8_t* tap = tensors.weights.data + row * geometry.row_bytes;
  int32_t sum = 0;
  for (int32_t ky = 0; ky < height.kernel; ++ky) {
    const int32_t y = AxisInput(height, at.y, ky);
    for (int32_t kx = 0; kx < width.kernel; ++kx, tap += geometry.tap_bytes) {
      const int32_t x = AxisInput(width, at.x, kx);
      const int8_t* pixel = nullptr;
      if (AxisHas(height, y) && AxisHas(width, x)) {
        const size_t place = (size_t(at.batch) * height.input + y) * width.input + x;
        pixel = tensors.input.data + place * args.conv2d.input.channels + first_input;
      }
      sum += TapSum(args, tensors, pixel, tap, inputs, part.plane);
    }
  }
  return sum;
}

int32_t TotalAt(const SignSumArgs& args, const BinaryConv2DGeometry& geometry,
                const SignSumTensors& tensors, const Position& at) {
  int32_t total = tensors.bias.data[at.channel];
  const int32_t* gain = tensors.gains.data + at.channel;
  for (int32_t b = 0; b < args.bases; ++b) {
    for (int32_t p = 0; p < args.planes; ++p, gain += args.conv2d.output_channels) {
      total += *gain * WindowSum(args, geometry, tensors, at, {b, p});
    }
  }
  return total;
}

int64_t Magnitude(int32_t value) { return value < 0 ? -int64_t{value} : int64_t{value}; }

}  // namespace

Status GeometryOf(const SignSumArgs& args, BinaryConv2DGeometry* geometry) {
  const bool has_parts = args.planes >= 1 && args.planes <= kMostPlanes && args.bases >= 1 &&
                         args.bases <= kMostPlanes && args.thresholds >= 1 &&
                         args.thresholds <= kMostThresholds;
  if (!has_parts) return Status::kBadArgument;
  return GeometryOf(BinaryConv2DArgs{args.conv2d, {0, 0}, args.pad_value}, geometry);
}

Status CheckSignGains(Span<const int32_t> gains, int32_t channels, int32_t parts, int32_t depth) {
  for (int32_t c = 0; c < channels; ++c) {
    int64_t sum = 0;
    for (int32_t i = 0; i < parts; ++i) sum += Magnitude(gains.data[size_t(i) * channels + c]);
    if (sum > kMaxSignSum / depth) return Status::kBadArgument;
  }
  return Status::kOk;
}

Status CheckSignSum(const SignSumArgs& args, const SignSumTensors& tensors,
                    BinaryConv2DGeometry* geometry) {
  const Status status = GeometryOf(args, geometry);
  if (status != Status::kOk) return status;
  const Shape4& input = args.conv2d.input;
  const WindowGeometry& window = geometry->conv2d.window;
  const int32_t channels = args.conv2d.output_channels;
  const bool has_parts =
      HasSize(tensors.gains.size, CheckedProduct(args.bases, args.planes, channels)) &&
      HasSize(tensors.thresholds.size, CheckedProduct(args.planes, args.thresholds));
  if (!has_parts) return Status::kBadShape;
  const BinaryTensors common = {
      tensors.input, tensors.weights, tensors.bias, tensors.requantization, {}, tensors.output};
  const Status sizes = CheckBinaryTensors(
      common, CheckedProduct(input.batch, input.height, input.width, input.channels),
      CheckedProduct(args.bases, channels, geometry->row_bytes), channels,
      CheckedProduct(input.batch, window.height.output, window.width.output, channels));
  if (sizes != Status::kOk) return sizes;
  return CheckSignGains(tensors.gains, channels, args.bases * args.planes, geometry->conv2d.depth);
}

Status SignSum(const SignSumArgs& args, const SignSumTensors& tensors) {
  BinaryConv2DGeometry geometry;
  const Status status = CheckSignSum(args, tensors, &geometry);
  if (status != Status::kOk) return status;
  const WindowGeometry& window = geometry.conv2d.window;
  int8_t* output = tensors.output.data;
  for (int32_t n = 0; n < args.conv2d.input.batch; ++n) {
    for (int32_t y = 0; y < window.height.output; ++y) {
      for (int32_t x = 0; x < window.width.output; ++x) {
        for (int32_t c = 0; c < args.conv2d.output_channels; ++c) {
          const int32_t total = TotalAt(args, geometry, tensors, {n, y, x, c});
          *output++ = OutputCode(static_cast<uint32_t>(total), tensors.requantization.data[c],
                                 args.conv2d.quantization);
        }
      }
    }
  }
  return Status::kOk;
}

}  // namespace edgeax
