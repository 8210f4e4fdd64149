#include "tflite_kernels/micro/bit_pool2d.h"

namespace edgeax {
namespace micro {
namespace {

void PoolPixel(const BitPool2DArgs& args, const Rows& rows, const uint8_t* image, int32_t first_y,
               int32_t first_x, uint8_t* output) {
  for (int32_t k = 0; k < args.pixel_bytes; ++k) output[k] = 0xFF;
  for (int32_t y = first_y; y < first_y + args.kernel_height; ++y) {
    if (static_cast<uint32_t>(y) >= static_cast<uint32_t>(args.height)) continue;
    const uint8_t* row = image + (y - rows.input_begin) * args.width * args.pixel_bytes;
    for (int32_t x = first_x; x < first_x + args.kernel_width; ++x) {
      if (static_cast<uint32_t>(x) >= static_cast<uint32_t>(args.width)) continue;
      const uint8_t* pixel = row + x * args.pixel_bytes;
      for (int32_t k = 0; k < args.pixel_bytes; ++k) output[k] &= pixel[k];
    }
  }
  output[args.pixel_bytes - 1] &= static_cast<uint8_t>(args.last_bits);
}

}  // namespace

void BitPool2D(const BitPool2DArgs& args, const Rows& rows, const uint8_t* input, uint8_t* output) {
  for (int32_t batch = 0; batch < args.batch; ++batch) {
    for (int32_t y = rows.begin; y < rows.end; ++y) {
      for (int32_t x = 0; x < args.output_width; ++x, output += args.pixel_bytes) {
        PoolPixel(args, rows, input, y * args.stride_height - args.pad_top,
                  x * args.stride_width - args.pad_left, output);
      }
    }
    input += args.height * args.width * args.pixel_bytes;
  }
}

}  // namespace micro
}  // namespace edgeax
