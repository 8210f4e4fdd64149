#include "tflite_kernels/micro/trained_depthwise.h"

#include "tflite_kernels/micro/taps.h"

namespace edgeax {
namespace micro {
namespace {

// The weights of an output channel: tap t lies at first[t * step].
struct Taps {
  const int8_t* first;
  int32_t step;
};

inline Taps TapsOf(const ConvolutionShape& s, int32_t columns, const int8_t* weights,
                   const int8_t* rest, int32_t channel) {
  if (channel < columns) return {weights + channel, columns};
  return {rest + (channel - columns), s.output_channels - columns};
}

int32_t GradientOf(const DepthwiseUpdateArgs& args, const int16_t* codes, const int8_t* input,
                   int32_t channel, int32_t i, int32_t j) {
  const ConvolutionShape& s = args.shape;
  const int32_t source = channel / (s.output_channels / s.input_channels);
  int32_t sum = 0;
  ForEachPixel(s, i, j, [&](int32_t to, int32_t from) {
    const int32_t error = ShiftedRight(codes[to * s.output_channels + channel], args.shift);
    sum += error * (input[from * args.kept + source] - args.input_zero_point);
  });
  return sum;
}

}  // namespace

void TrainedDepthwise(const TrainedDepthwiseArgs& args, const int8_t* input, const int8_t* weights,
                      const int32_t* bias, int8_t* output) {
  const ConvolutionShape& s = args.shape;
  const int32_t multiplier = s.output_channels / s.input_channels;
  for (int32_t y = 0; y < s.output_height; ++y) {
    for (int32_t x = 0; x < s.output_width; ++x) {
      for (int32_t c = 0; c < s.output_channels; ++c) {
        const Taps taps = TapsOf(s, args.columns, weights, args.rest, c);
        const int8_t* source = input + c / multiplier;
        int32_t sum = bias[c];
        ForEachTap(s, y, x, [&](int32_t, int32_t tap, int32_t from) {
          sum += (source[from * s.input_channels] - args.input_zero_point) *
                 taps.first[tap * taps.step];
        });
        const int32_t scaled =
            Clamped(RequantizeDouble(sum, FactorOf(args.factors, c)), {-512, 512});
        *output++ = static_cast<int8_t>(Clamped(scaled + args.output_zero_point, args.clamp));
      }
    }
  }
}

void DepthwiseGradient(const DepthwiseGradientArgs& args, const int16_t* gradient,
                       const int8_t* weights, int32_t* sums) {
  const ConvolutionShape& s = args.shape;
  const int32_t multiplier = s.output_channels / s.input_channels;
  const int16_t* codes = gradient + kGradientHead;
  SetExponent(sums, ExponentOf(gradient) + args.exponent);
  sums += kSumsHead;
  const int32_t count = s.input_height * s.input_width * s.input_channels;
  __builtin_memset(sums, 0, 4 * static_cast<size_t>(count));
  for (int32_t y = 0; y < s.output_height; ++y) {
    for (int32_t x = 0; x < s.output_width; ++x) {
      for (int32_t c = 0; c < s.output_channels; ++c) {
        const int32_t error = ShiftedRight(*codes++ * args.scale[c], args.shift);
        if (error == 0) continue;
        const Taps taps = TapsOf(s, args.columns, weights, args.rest, c);
        ForEachTap(s, y, x, [&](int32_t, int32_t tap, int32_t from) {
          sums[from * s.input_channels + c / multiplier] += error * taps.first[tap * taps.step];
        });
      }
    }
  }
}

void UpdateDepthwise(const DepthwiseUpdateArgs& args, const int16_t* gradient, const int8_t* input,
                     int8_t* weights, uint32_t* random) {
  const ConvolutionShape& s = args.shape;
  const int16_t* codes = gradient + kGradientHead;
  int32_t largest = 0;
  for (int32_t i = 0; i < s.kernel_height; ++i) {
    for (int32_t j = 0; j < s.kernel_width; ++j) {
      for (int32_t c = 0; c < args.columns; ++c) {
        const int32_t magnitude = Magnitude(GradientOf(args, codes, input, c, i, j));
        if (magnitude > largest) largest = magnitude;
      }
    }
  }
  if (largest == 0) return;
  const int32_t least = LeastGradient(args.rule, largest);
  for (int32_t i = 0; i < s.kernel_height; ++i) {
    for (int32_t j = 0; j < s.kernel_width; ++j) {
      for (int32_t c = 0; c < args.columns; ++c) {
        MoveWeight(args.rule, GradientOf(args, codes, input, c, i, j), least, weights++, random);
      }
    }
  }
}

}  // namespace micro
}  // namespace edgeax
