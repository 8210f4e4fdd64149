#include "tflite_kernels/micro/resize.h"

#include "tflite_kernels/micro/copy.h"

namespace edgeax {
namespace micro {
namespace {

// `sum` over 2**bits, rounded to a whole number.
template <Rounding kRounding, typename Sum>
inline Sum Rounded(Sum sum, int32_t bits) {
  const Sum half = Sum{1} << (bits - 1);
  if (kRounding == Rounding::kSingle) return (sum + half) >> bits;
  return (sum + half - (sum < 0 ? 1 : 0)) >> bits;
}

// Two rows of the input and how far the output row is from the one to the other.
template <typename Code>
struct Between {
  const Code* above;
  const Code* below;
  int32_t distance;
};

template <Rounding kRounding, typename Sum, typename Code>
Code* ResizeRow(const ResizeBilinearArgs& args, const Between<Code>& rows, Code* output) {
  constexpr int32_t kBits = kRounding == Rounding::kSingle ? 11 : 10;
  const int16_t* column = args.columns;
  for (int32_t left = args.output_width; left > 0; --left, column += 3) {
    const Code* above = rows.above + column[0] * args.channels;
    const Code* below = rows.below + column[0] * args.channels;
    const int32_t next = (column[1] - column[0]) * args.channels;
    const int32_t distance = column[2];
    for (int32_t channel = args.channels; channel > 0; --channel, ++above, ++below) {
      const int32_t top = *above * (1 << kBits) + (above[next] - *above) * distance;
      const int32_t bottom = *below * (1 << kBits) + (below[next] - *below) * distance;
      const Sum sum = static_cast<Sum>(top) * (1 << kBits) +
                      static_cast<Sum>(bottom - top) * static_cast<Sum>(rows.distance);
      *output++ = static_cast<Code>(Rounded<kRounding>(sum, 2 * kBits));
    }
  }
  return output;
}

template <Rounding kRounding, typename Sum, typename Code>
void ResizeImages(const ResizeBilinearArgs& args, const Code* input, Code* output) {
  const int32_t row_elements = args.input_width * args.channels;
  for (int32_t image = 0; image < args.batch; ++image) {
    const int16_t* row = args.rows;
    for (int32_t left = args.output_height; left > 0; --left, row += 3) {
      const Between<Code> rows = {input + row[0] * row_elements, input + row[1] * row_elements,
                                  row[2]};
      output = ResizeRow<kRounding, Sum>(args, rows, output);
    }
    input += args.input_height * row_elements;
  }
}

}  // namespace

void ResizeNearest(const ResizeNearestArgs& args, const void* input, void* output) {
  const int8_t* from = static_cast<const int8_t*>(input);
  int8_t* to = static_cast<int8_t*>(output);
  const int32_t row_bytes = args.input_width * args.pixel;
  for (int32_t image = 0; image < args.batch; ++image) {
    for (int32_t y = 0; y < args.output_height; ++y) {
      const int8_t* row = from + args.rows[y] * row_bytes;
      for (int32_t x = 0; x < args.output_width; ++x) {
        to = CopyBytes(row + args.columns[x] * args.pixel, to, args.pixel);
      }
    }
    from += args.input_height * row_bytes;
  }
}

template <Rounding kRounding>
void ResizeBilinear(const ResizeBilinearArgs& args, const int8_t* input, int8_t* output) {
  ResizeImages<kRounding, int32_t>(args, input, output);
}

template void ResizeBilinear<Rounding::kSingle>(const ResizeBilinearArgs&, const int8_t*, int8_t*);
template void ResizeBilinear<Rounding::kDouble>(const ResizeBilinearArgs&, const int8_t*, int8_t*);

void ResizeBilinear(const ResizeBilinearArgs& args, const int16_t* input, int16_t* output) {
  ResizeImages<Rounding::kDouble, int64_t>(args, input, output);
}

}  // namespace micro
}  // namespace edgeax
