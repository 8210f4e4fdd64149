#include "tflite_kernels/micro/pool_gradients.h"

#include "tflite_kernels/micro/taps.h"

namespace edgeax {
namespace micro {
namespace {

int32_t* Cleared(const ConvolutionShape& s, int32_t exponent, int32_t* sums) {
  SetExponent(sums, exponent);
  const int32_t count = s.input_height * s.input_width * s.input_channels;
  __builtin_memset(sums + kSumsHead, 0, 4 * static_cast<size_t>(count));
  return sums + kSumsHead;
}

}  // namespace

void AveragePoolGradient(const PoolGradientArgs& args, const int16_t* gradient, int32_t* sums) {
  const ConvolutionShape& s = args.shape;
  const int32_t channels = s.input_channels;
  const int16_t* codes = gradient + kGradientHead;
  int32_t* into = Cleared(s, ExponentOf(gradient) - args.bits, sums);
  for (int32_t y = 0; y < s.output_height; ++y) {
    for (int32_t x = 0; x < s.output_width; ++x, codes += channels) {
      int32_t pixels = 0;
      ForEachTap(s, y, x, [&](int32_t, int32_t, int32_t) { ++pixels; });
      const int32_t share = ((1 << args.bits) + pixels / 2) / pixels;
      ForEachTap(s, y, x, [&](int32_t, int32_t, int32_t from) {
        for (int32_t c = 0; c < channels; ++c) into[from * channels + c] += codes[c] * share;
      });
    }
  }
}

void MaxPoolTaps(const PoolGradientArgs& args, const int8_t* input, uint8_t* taps) {
  const ConvolutionShape& s = args.shape;
  const int32_t channels = s.input_channels;
  for (int32_t y = 0; y < s.output_height; ++y) {
    for (int32_t x = 0; x < s.output_width; ++x) {
      for (int32_t c = 0; c < channels; ++c) {
        int32_t largest = -129;
        ForEachTap(s, y, x, [&](int32_t, int32_t tap, int32_t from) {
          const int32_t code = input[from * channels + c];
          if (code <= largest) return;
          largest = code;
          *taps = static_cast<uint8_t>(tap);
        });
        ++taps;
      }
    }
  }
}

void MaxPoolGradient(const PoolGradientArgs& args, const int16_t* gradient, const uint8_t* taps,
                     int32_t* sums) {
  const ConvolutionShape& s = args.shape;
  const int32_t channels = s.input_channels;
  const int16_t* codes = gradient + kGradientHead;
  int32_t* into = Cleared(s, ExponentOf(gradient), sums);
  ForEachTap(s, [&](int32_t to, int32_t tap, int32_t from) {
    for (int32_t c = 0; c < channels; ++c) {
      const int32_t place = to * channels + c;
      if (taps[place] == tap) into[from * channels + c] += codes[place];
    }
  });
}

}  // namespace micro
}  // namespace edgeax
