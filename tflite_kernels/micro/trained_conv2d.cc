#include "tflite_kernels/micro/trained_conv2d.h"

#include "tflite_kernels/micro/taps.h"

namespace edgeax {
namespace micro {
namespace {

inline int32_t Dot(const int8_t* input, int32_t zero_point, const int8_t* weights, int32_t count) {
  int32_t sum = 0;
  for (int32_t i = 0; i < count; ++i) sum += (input[i] - zero_point) * weights[i];
  return sum;
}

inline void AddScaled(int32_t factor, const int8_t* weights, int32_t count, int32_t* sums) {
  for (int32_t i = 0; i < count; ++i) sums[i] += factor * weights[i];
}

// The gradients of the weights of an output and a tap, [columns].
void GradientRow(const Conv2DUpdateArgs& args, const int16_t* codes, const int8_t* input,
                 int32_t output, int32_t i, int32_t j, int32_t* row) {
  const ConvolutionShape& s = args.shape;
  __builtin_memset(row, 0, 4 * static_cast<size_t>(args.columns));
  ForEachPixel(s, i, j, [&](int32_t to, int32_t from) {
    const int32_t error = ShiftedRight(codes[to * s.output_channels + output], args.shift);
    if (error == 0) return;
    const int8_t* pixel = input + from * args.columns;
    for (int32_t c = 0; c < args.columns; ++c) {
      row[c] += error * (pixel[c] - args.input_zero_point);
    }
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

// Calls use(output, tap, row of gradients) for all rows.
template <typename Use>
void ForEachRow(const Conv2DUpdateArgs& args, const int16_t* codes, const int8_t* input,
                int32_t* row, Use use) {
  const ConvolutionShape& s = args.shape;
  for (int32_t o = 0; o < s.output_channels; ++o) {
    for (int32_t i = 0; i < s.kernel_height; ++i) {
      for (int32_t j = 0; j < s.kernel_width; ++j) {
        GradientRow(args, codes, input, o, i, j, row);
        use(o, i * s.kernel_width + j);
      }
    }
  }
}

}  // namespace

void TrainedConv2D(const TrainedConv2DArgs& args, const int8_t* input, const int8_t* weights,
                   const int32_t* bias, int8_t* output) {
  const ConvolutionShape& s = args.shape;
  const int32_t taps = s.kernel_height * s.kernel_width;
  const int32_t others = s.input_channels - args.columns;
  for (int32_t y = 0; y < s.output_height; ++y) {
    for (int32_t x = 0; x < s.output_width; ++x) {
      for (int32_t o = 0; o < s.output_channels; ++o) {
        int32_t sum = bias[o];
        ForEachTap(s, y, x, [&](int32_t, int32_t tap, int32_t from) {
          const int8_t* pixel = input + from * s.input_channels;
          const int32_t row = o * taps + tap;
          sum += Dot(pixel, args.input_zero_point, weights + row * args.columns, args.columns);
          if (others == 0) return;
          sum += Dot(pixel + args.columns, args.input_zero_point, args.rest + row * others, others);
        });
        // Beyond what int32 less a zero point holds, every code is at its limit.
        const int32_t scaled =
            Clamped(RequantizeDouble(sum, FactorOf(args.factors, o)), {-512, 512});
        *output++ = static_cast<int8_t>(Clamped(scaled + args.output_zero_point, args.clamp));
      }
    }
  }
}

void Conv2DGradient(const Conv2DGradientArgs& args, const int16_t* gradient, const int8_t* weights,
                    int32_t* sums) {
  const ConvolutionShape& s = args.shape;
  const int32_t taps = s.kernel_height * s.kernel_width;
  const int32_t others = s.input_channels - args.columns;
  const int16_t* codes = gradient + kGradientHead;
  SetExponent(sums, ExponentOf(gradient) + args.exponent);
  sums += kSumsHead;
  const int32_t count = s.input_height * s.input_width * s.input_channels;
  __builtin_memset(sums, 0, 4 * static_cast<size_t>(count));
  for (int32_t y = 0; y < s.output_height; ++y) {
    for (int32_t x = 0; x < s.output_width; ++x) {
      for (int32_t o = 0; o < s.output_channels; ++o) {
        const int32_t error = ShiftedRight(*codes++ * args.scale[o], args.shift);
        if (error == 0) continue;
        ForEachTap(s, y, x, [&](int32_t, int32_t tap, int32_t from) {
          int32_t* pixel = sums + from * s.input_channels;
          const int32_t row = o * taps + tap;
          AddScaled(error, weights + row * args.columns, args.columns, pixel);
          if (others == 0) return;
          AddScaled(error, args.rest + row * others, others, pixel + args.columns);
        });
      }
    }
  }
}

void UpdateConv2D(const Conv2DUpdateArgs& args, const int16_t* gradient, const int8_t* input,
                  int8_t* weights, uint32_t* random, void* scratch) {
  const int16_t* codes = gradient + kGradientHead;
  int32_t* row = static_cast<int32_t*>(scratch);
  int32_t largest = 0;
  ForEachRow(args, codes, input, row, [&](int32_t, int32_t) {
    for (int32_t c = 0; c < args.columns; ++c) {
      if (Magnitude(row[c]) > largest) largest = Magnitude(row[c]);
    }
  });
  if (largest == 0) return;
  const int32_t taps = args.shape.kernel_height * args.shape.kernel_width;
  const int32_t least = LeastGradient(args.rule, largest);
  ForEachRow(args, codes, input, row, [&](int32_t o, int32_t tap) {
    if (Rests(args, codes, o)) return;
    int8_t* moving = weights + (o * taps + tap) * args.columns;
    for (int32_t c = 0; c < args.columns; ++c) {
      MoveWeight(args.rule, row[c], least, moving + c, random);
    }
  });
}

}  // namespace micro
}  // namespace edgeax
