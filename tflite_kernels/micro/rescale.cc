#include "tflite_kernels/micro/rescale.h"

#include "tflite_kernels/micro/lanes.h"

namespace edgeax {
namespace micro {
namespace {

template <typename Code>
void ClipCodes(Clamp limits, int32_t count, const Code* input, Code* output) {
  for (; count > 0; --count) *output++ = static_cast<Code>(Clamped(*input++, limits));
}

template <typename Input, typename Output>
void RescaleCodes(const RescaleArgs& args, int32_t count, const Input* input, Output* output) {
  for (; count > 0; --count) {
    const int32_t real = *input++ - args.input_zero_point;
    const int32_t scaled = RequantizeDouble(real, real >= 0 ? args.positive : args.negative);
    *output++ = static_cast<Output>(Clamped(args.output_zero_point + scaled, args.clamp));
  }
}

template <typename Code>
void PReluCodes(const PReluArgs& args, const Rows& rows, Clamp limits, const Code* input,
                Code* output) {
  int32_t place = rows.begin * args.row % args.period;
  for (int32_t left = (rows.end - rows.begin) * args.row; left > 0; --left) {
    int32_t real = *input++ - args.input_zero_point;
    Requantization factor = args.positive;
    if (real < 0) {
      real *= args.slopes[place] - args.slope_zero_point;
      factor = args.negative;
    }
    const int32_t scaled = RequantizeDouble(real, factor);
    *output++ = static_cast<Code>(Clamped(args.output_zero_point + scaled, limits));
    if (++place == args.period) place = 0;
  }
}

}  // namespace

void Clip(const Clamp& limits, int32_t count, const int8_t* input, int8_t* output) {
#if defined(EDGEAX_MICRO_LANES)
  const Lanes low = LanesOf(limits.min), high = LanesOf(limits.max);
  for (; count >= kLanes; count -= kLanes, input += kLanes, output += kLanes) {
    StoreLanes(output, SmallerLanes(LargerLanes(LoadLanes(input), low), high));
  }
#endif
  ClipCodes(limits, count, input, output);
}

void Clip(const Clamp& limits, int32_t count, const int16_t* input, int16_t* output) {
  ClipCodes(limits, count, input, output);
}

void Rescale(const RescaleArgs& args, int32_t count, const int8_t* input, int16_t* output) {
  RescaleCodes(args, count, input, output);
}

void Rescale(const RescaleArgs& args, int32_t count, const int16_t* input, int8_t* output) {
  RescaleCodes(args, count, input, output);
}

void Rescale(const RescaleArgs& args, int32_t count, const int16_t* input, int16_t* output) {
  RescaleCodes(args, count, input, output);
}

void PRelu(const PReluArgs& args, const Rows& rows, const int8_t* input, int8_t* output) {
  PReluCodes(args, rows, {INT8_MIN, INT8_MAX}, input, output);
}

void PRelu(const PReluArgs& args, const Rows& rows, const int16_t* input, int16_t* output) {
  PReluCodes(args, rows, {INT16_MIN, INT16_MAX}, input, output);
}

}  // namespace micro
}  // namespace edgeax
