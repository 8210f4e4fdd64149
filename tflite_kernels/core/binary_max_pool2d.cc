#include "tflite_kernels/core/binary_max_pool2d.h"

namespace edgeax {
namespace {

Range TapsInside(const Axis& axis, int32_t output) {
  const int32_t first = AxisInput(axis, output, 0);
  const int32_t begin = first < 0 ? -first : 0;
  const int32_t room = axis.input - first;
  return {begin, room < axis.kernel ? room : axis.kernel};
}

// The bits that all pixels of a window have, in the bytes of one pixel.
void PoolWindow(const WindowGeometry& geometry, const uint8_t* image, int32_t bytes, int32_t y,
                int32_t x, uint8_t* output) {
  const Range rows = TapsInside(geometry.height, y);
  const Range columns = TapsInside(geometry.width, x);
  for (int32_t i = 0; i < bytes; ++i) output[i] = 0xFF;
  for (int32_t ky = rows.begin; ky < rows.end; ++ky) {
    const size_t row = size_t(AxisInput(geometry.height, y, ky)) * geometry.width.input;
    for (int32_t kx = columns.begin; kx < columns.end; ++kx) {
      const uint8_t* pixel = image + (row + AxisInput(geometry.width, x, kx)) * bytes;
      for (int32_t i = 0; i < bytes; ++i) output[i] &= pixel[i];
    }
  }
}

}  // namespace

Status GeometryOf(const BinaryMaxPool2DArgs& args, WindowGeometry* geometry) {
  const Shape4& input = args.input;
  if (args.window.dilation_height != 1 || args.window.dilation_width != 1) {
    return Status::kBadArgument;
  }
  if (CheckedProduct(input.batch, input.height, input.width, input.channels) < 0) {
    return Status::kBadShape;
  }
  return GeometryOf(args.window, input.height, input.width, geometry);
}

Status BinaryMaxPool2D(const BinaryMaxPool2DArgs& args, const BinaryPoolTensors& tensors) {
  WindowGeometry geometry;
  const Status status = GeometryOf(args, &geometry);
  if (status != Status::kOk) return status;
  const Shape4& input = args.input;
  const int32_t bytes = PackedBytes(input.channels, 1);
  const int64_t wanted =
      CheckedProduct(input.batch, geometry.height.output, geometry.width.output, bytes);
  if (!HasSize(tensors.input.size, CheckedProduct(input.batch, input.height, input.width, bytes)) ||
      !HasSize(tensors.output.size, wanted)) {
    return Status::kBadShape;
  }
  const int32_t spare = 8 * bytes - input.channels;
  const uint8_t last = static_cast<uint8_t>(0xFF >> spare);
  const size_t image_bytes = size_t(input.height) * input.width * bytes;
  const Range rows =
      RangeOf(input.batch * geometry.height.output, 1, tensors.share);  // of all images
  for (int32_t row = rows.begin; row < rows.end; ++row) {
    const uint8_t* image = tensors.input.data + row / geometry.height.output * image_bytes;
    uint8_t* output = tensors.output.data + size_t(row) * geometry.width.output * bytes;
    for (int32_t x = 0; x < geometry.width.output; ++x, output += bytes) {
      PoolWindow(geometry, image, bytes, row % geometry.height.output, x, output);
      output[bytes - 1] &= last;
    }
  }
  return Status::kOk;
}

}  // namespace edgeax
