#include "tflite_kernels/micro/trained_depthwise.h"

#include "tflite_kernels/micro/taps.h"
#include "tflite_kernels/micro/trained_products.h"

namespace edgeax {
namespace micro {
namespace {

// Calls use(lanes, first channel, its first weight, weights between two taps) for channels of both
// pieces of weights, several at once where they read neighboring input channels.
template <typename Use>
inline void ForEachPiece(const ConvolutionShape& s, int32_t columns, const int8_t* weights,
                         const int8_t* rest, Use use) {
  const bool is_plain = s.output_channels == s.input_channels;
  const int32_t others = s.output_channels - columns;
  ForEachLanes(0, columns, is_plain,
               [&](auto lanes, int32_t c) { use(lanes, c, weights + c, columns); });
  ForEachLanes(columns, s.output_channels, is_plain,
               [&](auto lanes, int32_t c) { use(lanes, c, rest + (c - columns), others); });
}

inline int32_t SourceOf(const ConvolutionShape& s, int32_t channel) {
  return s.output_channels == s.input_channels ? channel
                                               : channel / (s.output_channels / s.input_channels);
}

// Calls use(gradient) for all weights in their order.
template <typename Use>
inline void ForEachGradient(const DepthwiseUpdateArgs& args, const int16_t* codes,
                            const int8_t* input, Use use) {
  const ConvolutionShape& s = args.shape;
  const bool is_plain = s.output_channels == s.input_channels;
  for (int32_t i = 0; i < s.kernel_height; ++i) {
    for (int32_t j = 0; j < s.kernel_width; ++j) {
      ForEachLanes(0, args.columns, is_plain, [&](auto lanes, int32_t first) {
        constexpr int32_t kCount = decltype(lanes)::count;
        const int8_t* source = input + SourceOf(s, first);
        int32_t sums[kCount] = {};
        ForEachPixel(s, i, j, [&](int32_t to, int32_t from) {
          int16_t errors[kCount];
          for (int32_t k = 0; k < kCount; ++k) {
            const int32_t code = codes[to * s.output_channels + first + k];
            errors[k] = static_cast<int16_t>(ShiftedRight(code, args.shift));
          }
          AddProducts<kCount>(errors, source + from * args.kept, args.input_zero_point, sums);
        });
        for (const int32_t sum : sums) use(sum);
      });
    }
  }
}

}  // namespace

void TrainedDepthwise(const TrainedDepthwiseArgs& args, const int8_t* input, const int8_t* weights,
                      const int32_t* bias, int8_t* output) {
  const ConvolutionShape& s = args.shape;
  for (int32_t y = 0; y < s.output_height; ++y) {
    for (int32_t x = 0; x < s.output_width; ++x, output += s.output_channels) {
      ForEachPiece(s, args.columns, weights, args.rest,
                   [&](auto lanes, int32_t first, const int8_t* taps, int32_t step) {
                     constexpr int32_t kCount = decltype(lanes)::count;
                     const int8_t* source = input + SourceOf(s, first);
                     int32_t sums[kCount];
                     for (int32_t k = 0; k < kCount; ++k) sums[k] = bias[first + k];
                     ForEachTap(s, y, x, [&](int32_t, int32_t tap, int32_t from) {
                       AddProducts<kCount>(taps + tap * step, source + from * s.input_channels,
                                           args.input_zero_point, sums);
                     });
                     for (int32_t k = 0; k < kCount; ++k) {
                       output[first + k] = CodeOf(args, sums[k], first + k);
                     }
                   });
    }
  }
}

void DepthwiseGradient(const DepthwiseGradientArgs& args, const int16_t* gradient,
                       const int8_t* weights, int32_t* sums) {
  const ConvolutionShape& s = args.shape;
  const int16_t* codes = gradient + kGradientHead;
  SetExponent(sums, ExponentOf(gradient) + args.exponent);
  sums += kSumsHead;
  const int32_t count = s.input_height * s.input_width * s.input_channels;
  __builtin_memset(sums, 0, 4 * static_cast<size_t>(count));
  for (int32_t y = 0; y < s.output_height; ++y) {
    for (int32_t x = 0; x < s.output_width; ++x, codes += s.output_channels) {
      ForEachPiece(s, args.columns, weights, args.rest,
                   [&](auto lanes, int32_t first, const int8_t* taps, int32_t step) {
                     constexpr int32_t kCount = decltype(lanes)::count;
                     int16_t errors[kCount];
                     for (int32_t k = 0; k < kCount; ++k) {
                       const int32_t product = codes[first + k] * args.scale[first + k];
                       errors[k] = static_cast<int16_t>(ShiftedRight(product, args.shift));
                     }
                     int32_t* into = sums + SourceOf(s, first);
                     ForEachTap(s, y, x, [&](int32_t, int32_t tap, int32_t from) {
                       AddProducts<kCount>(errors, taps + tap * step, 0,
                                           into + from * s.input_channels);
                     });
                   });
    }
  }
}

void UpdateDepthwise(const DepthwiseUpdateArgs& args, const int16_t* gradient, const int8_t* input,
                     int8_t* weights, uint32_t* random) {
  const int16_t* codes = gradient + kGradientHead;
  int32_t largest = 0;
  ForEachGradient(args, codes, input, [&](int32_t gradient_of_one) {
    largest = LargerMagnitude(largest, gradient_of_one);
  });
  if (largest == 0) return;
  const int32_t least = LeastGradient(args.rule, largest);
  ForEachGradient(args, codes, input, [&](int32_t gradient_of_one) {
    MoveWeight(args.rule, gradient_of_one, least, weights++, random);
  });
}

}  // namespace micro
}  // namespace edgeax
