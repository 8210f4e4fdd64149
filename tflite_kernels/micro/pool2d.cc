#include "tflite_kernels/micro/pool2d.h"

namespace edgeax {
namespace micro {
namespace {

// The part of a window along one axis that lies in the image.
struct Part {
  int32_t begin, end;
};

inline Part PartOf(int32_t first, int32_t kernel, int32_t size) {
  return {first < 0 ? 0 : first, first + kernel < size ? first + kernel : size};
}

// The pixels of a window: `rows` times `columns`, the first at `input`.
template <typename Code>
struct Pixels {
  const Code* input;
  int32_t rows, columns;
  int32_t row_size, channels;
};

// Averages of `count` codes. Quotients of numbers below 2**32 / count are high words of products
// with 2**32 / count, rounded up.
struct Average {
  uint32_t count, half, reciprocal;
};

template <typename Code>
inline Average AverageOf(int32_t pixels) {
  constexpr uint32_t kMost = sizeof(Code) == 1 ? 4096 : 256;
  const uint32_t count = static_cast<uint32_t>(pixels);
  const bool exact = count > 1 && count <= kMost;
  return {count, count / 2, exact ? UINT32_MAX / count + 1 : 0};
}

inline uint32_t Quotient(uint32_t sum, const Average& average) {
  if (average.reciprocal == 0) return sum / average.count;
  return static_cast<uint32_t>((uint64_t{sum} * average.reciprocal) >> 32);
}

struct Averages {
  template <typename Code>
  static void Run(const Pixels<Code>& pixels, Clamp clamp, Code* output) {
    const Average average = AverageOf<Code>(pixels.rows * pixels.columns);
    for (int32_t channel = 0; channel < pixels.channels; ++channel) {
      const Code* row = pixels.input + channel;
      int32_t sum = 0;
      for (int32_t y = 0; y < pixels.rows; ++y) {
        const Code* pixel = row;
        for (int32_t x = 0; x < pixels.columns; ++x) {
          sum += *pixel;
          pixel += pixels.channels;
        }
        row += pixels.row_size;
      }
      const uint32_t magnitude = static_cast<uint32_t>(sum < 0 ? -sum : sum) + average.half;
      const int32_t quotient = static_cast<int32_t>(Quotient(magnitude, average));
      output[channel] = static_cast<Code>(Clamped(sum < 0 ? -quotient : quotient, clamp));
    }
  }
};

struct Maxima {
  template <typename Code>
  static void Run(const Pixels<Code>& pixels, Clamp clamp, Code* output) {
    for (int32_t channel = 0; channel < pixels.channels; ++channel) {
      const Code* row = pixels.input + channel;
      int32_t largest = clamp.min;
      for (int32_t y = 0; y < pixels.rows; ++y) {
        const Code* pixel = row;
        for (int32_t x = 0; x < pixels.columns; ++x) {
          largest = *pixel > largest ? *pixel : largest;
          pixel += pixels.channels;
        }
        row += pixels.row_size;
      }
      output[channel] = static_cast<Code>(largest < clamp.max ? largest : clamp.max);
    }
  }
};

template <typename Kind, typename Code>
void Pool(const Pool2DArgs& args, const Rows& rows, const Code* input, Code* output) {
  const int32_t row_size = args.width * args.channels;
  for (int32_t n = 0; n < args.batch; ++n) {
    for (int32_t y = rows.begin; y < rows.end; ++y) {
      const Part of_rows =
          PartOf(y * args.stride_height - args.pad_top, args.kernel_height, args.height);
      const Code* row = input + (of_rows.begin - rows.input_begin) * row_size;
      for (int32_t x = 0; x < args.output_width; ++x) {
        const Part of_columns =
            PartOf(x * args.stride_width - args.pad_left, args.kernel_width, args.width);
        Kind::Run(Pixels<Code>{row + of_columns.begin * args.channels, of_rows.end - of_rows.begin,
                               of_columns.end - of_columns.begin, row_size, args.channels},
                  args.clamp, output);
        output += args.channels;
      }
    }
    input += args.height * row_size;
  }
}

}  // namespace

void AveragePool2D(const Pool2DArgs& args, const Rows& rows, const int8_t* input, int8_t* output) {
  Pool<Averages>(args, rows, input, output);
}

void AveragePool2D(const Pool2DArgs& args, const Rows& rows, const int16_t* input,
                   int16_t* output) {
  Pool<Averages>(args, rows, input, output);
}

void MaxPool2D(const Pool2DArgs& args, const Rows& rows, const int8_t* input, int8_t* output) {
  Pool<Maxima>(args, rows, input, output);
}

void MaxPool2D(const Pool2DArgs& args, const Rows& rows, const int16_t* input, int16_t* output) {
  Pool<Maxima>(args, rows, input, output);
}

}  // namespace micro
}  // namespace edgeax
