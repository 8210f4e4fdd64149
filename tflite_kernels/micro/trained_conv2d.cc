#include "tflite_kernels/micro/trained_conv2d.h"

#include "tflite_kernels/micro/taps.h"
#include "tflite_kernels/micro/trained_products.h"

namespace edgeax {
namespace micro {
namespace {

// Whether there is one pixel and one tap, as in a dense layer: gradients are products.
bool IsOnePixel(const ConvolutionShape& s) {
  return s.output_height * s.output_width * s.kernel_height * s.kernel_width == 1 &&
         s.input_height * s.input_width == 1;
}

// The gradients of weights, row by row of `columns`.
class Gradients {
 public:
  Gradients(const Conv2DUpdateArgs& args, const int16_t* codes, const int8_t* input, int32_t* row)
      : args_(args), codes_(codes), input_(input), row_(row) {
    const int32_t count = args.shape.input_height * args.shape.input_width * args.columns;
    for (int32_t i = 0; i < count; ++i) {
      most_ = LargerMagnitude(most_, input[i] - args.input_zero_point);
    }
  }

  // What no gradient of an output's weights is above.
  int32_t Bound(int32_t output) const {
    const ConvolutionShape& s = args_.shape;
    const int32_t pixels = s.output_height * s.output_width;
    int32_t sum = 0;
    for (int32_t pixel = 0; pixel < pixels; ++pixel) sum += Magnitude(Error(pixel, output));
    return sum * most_;
  }

  // The gradient of a pixel of an output.
  int32_t Error(int32_t pixel, int32_t output) const {
    return ShiftedRight(codes_[pixel * args_.shape.output_channels + output], args_.shift);
  }

  // Calls use(tap, row) for the rows of an output.
  template <typename Use>
  void ForEachRow(int32_t output, Use use) const {
    const ConvolutionShape& s = args_.shape;
    for (int32_t i = 0; i < s.kernel_height; ++i) {
      for (int32_t j = 0; j < s.kernel_width; ++j) {
        __builtin_memset(row_, 0, 4 * static_cast<size_t>(args_.columns));
        RowSum sum(args_.input_zero_point, args_.columns, row_);
        ForEachPixel(s, i, j, [&](int32_t to, int32_t from) {
          sum.Add(Error(to, output), input_ + from * args_.columns);
        });
        sum.Finish();
        use(i * s.kernel_width + j, row_);
      }
    }
  }

 private:
  const Conv2DUpdateArgs& args_;
  const int16_t* const codes_;
  const int8_t* const input_;
  int32_t* const row_;
  int32_t most_ = 0;  // the largest magnitude of the inputs
};

struct OutputError {
  int32_t output, error;
};

// Adds to the gradients by inputs what the errors of two outputs of a pixel add.
void AddTwoOutputs(const Conv2DGradientArgs& args, const int8_t* weights, int32_t y, int32_t x,
                   OutputError a, OutputError b, int32_t* sums) {
  const ConvolutionShape& s = args.shape;
  const int32_t taps = s.kernel_height * s.kernel_width;
  const int32_t others = s.input_channels - args.columns;
  ForEachTap(s, y, x, [&](int32_t, int32_t tap, int32_t from) {
    int32_t* pixel = sums + from * s.input_channels;
    const int32_t row = a.output * taps + tap, next_row = b.output * taps + tap;
    AddScaledRows(a.error, weights + row * args.columns, b.error, weights + next_row * args.columns,
                  0, args.columns, pixel);
    if (others == 0) return;
    AddScaledRows(a.error, args.rest + row * others, b.error, args.rest + next_row * others, 0,
                  others, pixel + args.columns);
  });
}

bool Rests(const Conv2DUpdateArgs& args, const int16_t* codes, int32_t output) {
  if (args.least_sum == 0) return false;
  const int32_t channels = args.shape.output_channels;
  const int32_t pixels = args.shape.output_height * args.shape.output_width;
  int32_t sum = 0;
  for (int32_t pixel = 0; pixel < pixels; ++pixel) {
    sum += ShiftedRight(codes[pixel * channels + output], args.shift);
  }
  return Magnitude(sum) < args.least_sum;
}

}  // namespace

void TrainedConv2D(const TrainedConv2DArgs& args, const int8_t* input, const int8_t* weights,
                   const int32_t* bias, int8_t* output) {
  const ConvolutionShape& s = args.shape;
  const int32_t taps = s.kernel_height * s.kernel_width;
  const int32_t others = s.input_channels - args.columns;
  // Some outputs at a time, or one, so many times: the last ones may have had their turn in part.
  const int32_t together = s.output_channels < kRows ? 1 : kRows;
  const int32_t last = s.output_channels - together;
  const int32_t step = together == 1 ? 0 : taps;
  for (int32_t y = 0; y < s.output_height; ++y) {
    for (int32_t x = 0; x < s.output_width; ++x, output += s.output_channels) {
      for (int32_t next = 0; next < s.output_channels; next += together) {
        const int32_t o = next < last ? next : last;
        int32_t sums[kRows] = {};
        for (int32_t k = 0; k < together; ++k) sums[k] = bias[o + k];
        ForEachTap(s, y, x, [&](int32_t, int32_t tap, int32_t from) {
          const int8_t* pixel = input + from * s.input_channels;
          const int32_t row = o * taps + tap;
          AddInnerProducts(pixel, args.input_zero_point, weights + row * args.columns,
                           step * args.columns, args.columns, sums);
          if (others == 0) return;
          AddInnerProducts(pixel + args.columns, args.input_zero_point, args.rest + row * others,
                           step * others, others, sums);
        });
        for (int32_t k = 0; k < together; ++k) output[o + k] = CodeOf(args, sums[k], o + k);
      }
    }
  }
}

void Conv2DGradient(const Conv2DGradientArgs& args, const int16_t* gradient, const int8_t* weights,
                    int32_t* sums) {
  const ConvolutionShape& s = args.shape;
  const int16_t* codes = gradient + kGradientHead;
  SetExponent(sums, ExponentOf(gradient) + args.exponent);
  sums += kSumsHead;
  const int32_t count = s.input_height * s.input_width * s.input_channels;
  __builtin_memset(sums, 0, 4 * static_cast<size_t>(count));
  for (int32_t y = 0; y < s.output_height; ++y) {
    for (int32_t x = 0; x < s.output_width; ++x, codes += s.output_channels) {
      int32_t first = -1, first_error = 0;  // what waits for another output whose error is not 0
      for (int32_t o = 0; o < s.output_channels; ++o) {
        const int32_t error = ShiftedRight(codes[o] * args.scale[o], args.shift);
        if (error == 0) continue;
        if (first >= 0) {
          AddTwoOutputs(args, weights, y, x, {first, first_error}, {o, error}, sums);
          first = -1;
        } else {
          first = o;
          first_error = error;
        }
      }
      if (first >= 0) AddTwoOutputs(args, weights, y, x, {first, first_error}, {first, 0}, sums);
    }
  }
}

void UpdateConv2D(const Conv2DUpdateArgs& args, const int16_t* gradient, const int8_t* input,
                  int8_t* weights, uint32_t* random, void* scratch) {
  const int16_t* codes = gradient + kGradientHead;
  const Gradients gradients(args, codes, input, static_cast<int32_t*>(scratch));
  const bool is_one = IsOnePixel(args.shape);
  int32_t largest = 0;
  for (int32_t o = 0; o < args.shape.output_channels; ++o) {
    const int32_t bound = gradients.Bound(o);
    if (bound <= largest) continue;
    if (is_one) {
      largest = bound;  // which a gradient reaches
      continue;
    }
    gradients.ForEachRow(o, [&](int32_t, const int32_t* row) {
      for (int32_t c = 0; c < args.columns; ++c) largest = LargerMagnitude(largest, row[c]);
    });
  }
  if (largest == 0) return;
  const int32_t taps = args.shape.kernel_height * args.shape.kernel_width;
  const int32_t least = LeastGradient(args.rule, largest);
  for (int32_t o = 0; o < args.shape.output_channels; ++o) {
    if (gradients.Bound(o) < least || Rests(args, codes, o)) continue;
    int8_t* first = weights + o * taps * args.columns;
    if (is_one) {
      const int32_t error = gradients.Error(0, o);
      for (int32_t c = 0; c < args.columns; ++c) {
        const int32_t product = error * (input[c] - args.input_zero_point);
        MoveWeight(args.rule, product, least, first + c, random);
      }
      continue;
    }
    gradients.ForEachRow(o, [&](int32_t tap, const int32_t* row) {
      int8_t* moving = first + tap * args.columns;
      for (int32_t c = 0; c < args.columns; ++c) {
        MoveWeight(args.rule, row[c], least, moving + c, random);
      }
    });
  }
}

}  // namespace micro
}  // namespace edgeax
