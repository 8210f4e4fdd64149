#pragma once  // micro/bit_rows.h: rows of an image as bits, and what an output pixel reads of them.

#include "tflite_kernels/micro/sign_sums.h"

namespace edgeax {
namespace micro {
namespace {

// The last rows of an image that have been read; row y of the image is number y % count.
struct BitRows {
  uint8_t* bytes;
  int32_t count;
  int32_t row_bytes, plane_bytes;
  int32_t next;  // the first row that has not been read
  int32_t top;   // number of the row of the first taps, be it in the image or not
};

inline BitRows EmptyRows(const SignSumsArgs& args, uint8_t* bytes) {
  const ConvolutionShape& shape = args.shape;
  const int32_t plane_bytes = shape.input_width * shape.groups * args.tap_bytes;
  return {bytes,
          (shape.kernel_height - 1) * shape.dilation_height + 1,
          args.planes * plane_bytes,
          plane_bytes,
          0,
          0};
}

// The bits of one plane of the codes of a group.
inline void PackTap(const int8_t* codes, int32_t depth, const uint8_t* signs, int32_t plane,
                    uint8_t* to) {
  uint32_t bits = 0x100;  // and a mark above the 8th
  for (int32_t k = 0; k < depth; ++k) {
    bits = bits >> 1 | static_cast<uint32_t>(signs[codes[k] + 128] >> plane & 1) << 8;
    if ((bits & 1) != 0) {
      *to++ = static_cast<uint8_t>(bits >> 1);
      bits = 0x100;
    }
  }
  if (bits == 0x100) return;
  for (bits >>= 1; (bits & 1) == 0;) bits >>= 1;
  *to = static_cast<uint8_t>(bits >> 1);
}

// The bits of a group, the first of which is number `first`.
inline void CopyTap(const uint8_t* pixel, int32_t first, int32_t depth, uint8_t* to) {
  const uint8_t* from = pixel + first / 8;
  const int32_t shift = first % 8;
  for (; depth > 0; depth -= 8) {
    uint32_t bits = *from++;
    if (shift + (depth < 8 ? depth : 8) > 8) bits |= static_cast<uint32_t>(*from) << 8;
    bits >>= shift;
    if (depth < 8) bits &= (1u << depth) - 1;
    *to++ = static_cast<uint8_t>(bits);
  }
}

inline void ReadRow(const SignSumsArgs& args, const int8_t* row, const BitRows& rows, uint8_t* to) {
  const int32_t depth = args.shape.input_channels / args.shape.groups;
  for (int32_t plane = 0; plane < args.planes; ++plane, to += rows.plane_bytes) {
    const int8_t* codes = row;
    for (int32_t at = 0; at < rows.plane_bytes; at += args.tap_bytes, codes += depth) {
      PackTap(codes, depth, args.signs, plane, to + at);
    }
  }
}

inline void ReadRow(const SignSumsArgs& args, const uint8_t* row, const BitRows&, uint8_t* to) {
  const ConvolutionShape& shape = args.shape;
  const int32_t depth = shape.input_channels / shape.groups;
  for (int32_t x = 0; x < shape.input_width; ++x, row += (shape.input_channels + 7) / 8) {
    for (int32_t group = 0; group < shape.groups; ++group, to += args.tap_bytes) {
      CopyTap(row, group * depth, depth, to);
    }
  }
}

inline int32_t RowSize(const ConvolutionShape& shape, const int8_t*) {
  return shape.input_width * shape.input_channels;
}
inline int32_t RowSize(const ConvolutionShape& shape, const uint8_t*) {
  return shape.input_width * ((shape.input_channels + 7) / 8);
}

// Reads the rows that an output row needs and that have not been read. `image` is row
// `input_begin`.
template <typename Input>
void ReadRows(const SignSumsArgs& args, const Input* image, int32_t input_begin, int32_t output_y,
              BitRows* rows) {
  const ConvolutionShape& shape = args.shape;
  const int32_t first = output_y * shape.stride_height - shape.pad_top;
  int32_t y = first > rows->next ? first : rows->next;
  if (y < input_begin) y = input_begin;
  for (; y < first + rows->count && y < shape.input_height; ++y) {
    ReadRow(args, image + (y - input_begin) * RowSize(shape, image), *rows,
            rows->bytes + y % rows->count * rows->row_bytes);
  }
  if (y > rows->next) rows->next = y;
  rows->top = first % rows->count;
  if (rows->top < 0) rows->top += rows->count;
}

// The place of an output pixel over its image.
struct Place {
  int32_t y, x;  // of the first tap
  int32_t group;
};

inline bool IsInside(const ConvolutionShape& shape, int32_t y, int32_t x) {
  return static_cast<uint32_t>(y) < static_cast<uint32_t>(shape.input_height) &&
         static_cast<uint32_t>(x) < static_cast<uint32_t>(shape.input_width);
}

// Copies the taps of a plane. Those outside of the image have zeros, and so has `inside`, which
// elsewhere has ones. Returns how many lie inside.
inline int32_t CopyTaps(const SignSumsArgs& args, const BitRows& rows, const Place& place,
                        int32_t plane, uint8_t* to, uint8_t* inside) {
  const ConvolutionShape& shape = args.shape;
  const int32_t bytes = args.tap_bytes;
  int32_t count = 0, y = place.y, row = rows.top;
  for (int32_t i = 0; i < shape.kernel_height; ++i, y += shape.dilation_height) {
    int32_t x = place.x;
    if (row >= rows.count) row -= rows.count;
    const uint8_t* bits = rows.bytes + row * rows.row_bytes + plane * rows.plane_bytes;
    for (int32_t j = 0; j < shape.kernel_width; ++j, x += shape.dilation_width) {
      if (IsInside(shape, y, x)) {
        const uint8_t* from = bits + (x * shape.groups + place.group) * bytes;
        for (int32_t k = 0; k < bytes; ++k) to[k] = from[k], inside[k] = 0xFF;
        ++count;
      } else {
        for (int32_t k = 0; k < bytes; ++k) to[k] = inside[k] = 0;
      }
      to += bytes;
      inside += bytes;
    }
    row += shape.dilation_height;
  }
  return count;
}

}  // namespace
}  // namespace micro
}  // namespace edgeax
