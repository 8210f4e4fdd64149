#pragma once  // micro/depthwise_dsp.h: sweeps with the DSP instructions of Arm (Cortex-M4, M7).

#include "tflite_kernels/micro/depthwise_sweep.h"
#include "tflite_kernels/micro/words_dsp.h"

namespace edgeax {
namespace micro {
namespace {

// Weights of a 3 x 3 window, doubled: left and right ones as halves of a word each, the middle ones
// of rows 0 and 1 together.
struct Taps3x3 {
  uint32_t sides0, sides1, sides2, middles01, middle2;
};

static inline uint32_t Halves(int32_t low, int32_t high) {
  return (static_cast<uint32_t>(low) & 0xFFFF) | (static_cast<uint32_t>(high) << 16);
}

static inline Taps3x3 TapsOf(const int8_t* w, int32_t step) {
  const int8_t* row1 = w + 3 * step;
  const int8_t* row2 = row1 + 3 * step;
  return {Halves(2 * w[0], 2 * w[2 * step]), Halves(2 * row1[0], 2 * row1[2 * step]),
          Halves(2 * row2[0], 2 * row2[2 * step]), Halves(2 * w[step], 2 * row1[step]),
          Halves(2 * row2[step], 0)};
}

// How doubled sums become codes: (high word of the product + addend) >> shift.
struct Finish {
  int32_t multiplier, addend, shift;
};

// Whether doubled sums of 9 products fit 32 bits and a code is a shift of a high word.
static inline bool IsPlain(int32_t bias, Requantization factor) {
  constexpr int32_t kMost = (1 << 30) - 9 * 128 * 128;
  return bias > -kMost && bias < kMost && factor.shift < 0 && factor.shift > -23;
}

static inline Finish FinishOf(Requantization factor, int32_t zero_point) {
  const int32_t shift = -factor.shift;
  return {factor.multiplier, (1 << (shift - 1)) + zero_point * (1 << shift), shift};
}

template <Rounding kRounding>
static inline int32_t Finished(int32_t doubled, const Finish& finish) {
  if (kRounding == Rounding::kSingle) {
    return Saturate8((MultiplyHigh(doubled, finish.multiplier) + finish.addend) >> finish.shift);
  }
  const int32_t high = MultiplyHighRounded(doubled, finish.multiplier);
  return Saturate8((high + finish.addend + (high >> 31)) >> finish.shift);
}

// Two neighboring outputs at a time; with an odd width the last one is of what lies behind the row
// and not written.
template <Rounding kRounding>
__attribute__((noinline)) void Sweep3x3Stride1(const DepthwiseConv2DArgs& args,
                                               const Sweep<int8_t>& sweep) {
  const Taps3x3 taps = TapsOf(sweep.weights, sweep.channels);
  const Finish finish = FinishOf(sweep.factor, args.output_zero_point);
  const int32_t bias = 2 * sweep.bias;
  const int32_t pitch = args.plane_pitch;
  const int32_t channels = sweep.channels;
  const int8_t* line = sweep.plane;
  int8_t* output = sweep.output;
  for (int32_t y = 0; y < sweep.rows; ++y) {
    const int8_t* x = line;
    const int8_t* last = line + args.output_width - 1;
    for (;;) {
      uint32_t word = LoadWord(x);
      uint32_t even = ExtendEven(word);
      uint32_t odd = ExtendOdd(word);
      int32_t left = DotHalves(even, taps.sides0, bias);
      int32_t right = DotHalves(odd, taps.sides0, bias);
      left = AddLowLow(odd, taps.middles01, left);
      right = AddHighLow(even, taps.middles01, right);
      word = LoadWord(x + pitch);
      even = ExtendEven(word);
      odd = ExtendOdd(word);
      left = DotHalves(even, taps.sides1, left);
      right = DotHalves(odd, taps.sides1, right);
      left = AddLowHigh(odd, taps.middles01, left);
      right = AddHighHigh(even, taps.middles01, right);
      word = LoadWord(x + 2 * pitch);
      even = ExtendEven(word);
      odd = ExtendOdd(word);
      left = DotHalves(even, taps.sides2, left);
      right = DotHalves(odd, taps.sides2, right);
      left = AddLowLow(odd, taps.middle2, left);
      right = AddHighLow(even, taps.middle2, right);
      *output = static_cast<int8_t>(Finished<kRounding>(left, finish));
      if (x >= last) {
        if (x == last) output += channels;
        break;
      }
      output[channels] = static_cast<int8_t>(Finished<kRounding>(right, finish));
      output += 2 * channels;
      x += 2;
      if (x > last) break;
    }
    line += pitch;
  }
}

template <Rounding kRounding>
__attribute__((noinline)) void Sweep3x3Stride2(const DepthwiseConv2DArgs& args,
                                               const Sweep<int8_t>& sweep) {
  const Taps3x3 taps = TapsOf(sweep.weights, sweep.channels);
  const Finish finish = FinishOf(sweep.factor, args.output_zero_point);
  const int32_t bias = 2 * sweep.bias;
  const int32_t pitch = args.plane_pitch;
  const int8_t* line = sweep.plane;
  int8_t* output = sweep.output;
  for (int32_t y = 0; y < sweep.rows; ++y) {
    const int8_t* x = line;
    const int8_t* end = line + 2 * args.output_width;
    for (; x != end; x += 2) {
      uint32_t word = LoadWord(x);
      int32_t sum = DotHalves(ExtendEven(word), taps.sides0, bias);
      sum = AddLowLow(ExtendOdd(word), taps.middles01, sum);
      word = LoadWord(x + pitch);
      sum = DotHalves(ExtendEven(word), taps.sides1, sum);
      sum = AddLowHigh(ExtendOdd(word), taps.middles01, sum);
      word = LoadWord(x + 2 * pitch);
      sum = DotHalves(ExtendEven(word), taps.sides2, sum);
      sum = AddLowLow(ExtendOdd(word), taps.middle2, sum);
      *output = static_cast<int8_t>(Finished<kRounding>(sum, finish));
      output += sweep.channels;
    }
    line += 2 * pitch;
  }
}

// Codes that a fused activation limits to less than int8.
static inline void ClampColumn(const DepthwiseConv2DArgs& args, const Sweep<int8_t>& sweep) {
  int8_t* output = sweep.output;
  for (int32_t i = sweep.rows * args.output_width; i > 0; --i) {
    *output = static_cast<int8_t>(Clamped(*output, args.clamp));
    output += sweep.channels;
  }
}

template <Rounding kRounding>
void SweepRows(const DepthwiseConv2DArgs& args, const Sweep<int8_t>& sweep) {
  const int32_t stride = args.stride_width;
  const bool is_3x3 = args.kernel_height == 3 && args.kernel_width == 3 &&
                      args.dilation_height == 1 && args.dilation_width == 1 &&
                      args.stride_height == stride && stride <= 2;
  if (!is_3x3 || !IsPlain(sweep.bias, sweep.factor)) {
    SweepAny<kRounding, int32_t>(args, sweep);
    return;
  }
  if (stride == 1) {
    Sweep3x3Stride1<kRounding>(args, sweep);
  } else {
    Sweep3x3Stride2<kRounding>(args, sweep);
  }
  if (args.clamp.min > -128 || args.clamp.max < 127) ClampColumn(args, sweep);
}

template <Rounding kRounding>
void SweepRows(const DepthwiseConv2DArgs& args, const Sweep<int16_t>& sweep) {
  SweepAny<kRounding, int64_t>(args, sweep);
}

}  // namespace
}  // namespace micro
}  // namespace edgeax
