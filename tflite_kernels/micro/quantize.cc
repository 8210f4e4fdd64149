#include "tflite_kernels/micro/quantize.h"

namespace edgeax {
namespace micro {
namespace {

// Both for magnitudes up to 2**17.
inline int32_t RoundHalfAway(float number) {
  const int32_t whole = static_cast<int32_t>(number);
  const float rest = number - static_cast<float>(whole);
  return whole + (rest >= 0.5f ? 1 : rest <= -0.5f ? -1 : 0);
}

inline int32_t RoundHalfEven(float number) {
  constexpr float kNoFraction = 3 << 22;  // floats near it have no bit behind the point
  volatile float shifted = number + kNoFraction;
  return static_cast<int32_t>(shifted - kNoFraction);
}

template <Rounding kRounding, typename Code>
void QuantizeNumbers(const QuantizeArgs& args, int32_t count, Clamp limits, const float* input,
                     Code* output) {
  constexpr float kBeyond = 1 << 17;  // farther from 0 than any code from any zero point
  for (; count > 0; --count) {
    float number = *input++;
    number = kRounding == Rounding::kSingle ? number * args.scale : number / args.scale;
    number = number > -kBeyond ? number : -kBeyond;
    number = number < kBeyond ? number : kBeyond;
    const int32_t whole =
        kRounding == Rounding::kSingle ? RoundHalfEven(number) : RoundHalfAway(number);
    *output++ = static_cast<Code>(Clamped(whole + args.zero_point, limits));
  }
}

template <typename Code>
void DequantizeCodes(const DequantizeArgs& args, int32_t count, const Code* input, float* output) {
  for (; count > 0; --count) {
    *output++ = args.scale * static_cast<float>(*input++ - args.zero_point);
  }
}

}  // namespace

template <Rounding kRounding>
void Quantize(const QuantizeArgs& args, int32_t count, const float* input, int8_t* output) {
  QuantizeNumbers<kRounding>(args, count, {INT8_MIN, INT8_MAX}, input, output);
}

template <Rounding kRounding>
void Quantize(const QuantizeArgs& args, int32_t count, const float* input, int16_t* output) {
  QuantizeNumbers<kRounding>(args, count, {INT16_MIN, INT16_MAX}, input, output);
}

template void Quantize<Rounding::kSingle>(const QuantizeArgs&, int32_t, const float*, int8_t*);
template void Quantize<Rounding::kDouble>(const QuantizeArgs&, int32_t, const float*, int8_t*);
template void Quantize<Rounding::kSingle>(const QuantizeArgs&, int32_t, const float*, int16_t*);
template void Quantize<Rounding::kDouble>(const QuantizeArgs&, int32_t, const float*, int16_t*);

void Dequantize(const DequantizeArgs& args, int32_t count, const int8_t* input, float* output) {
  DequantizeCodes(args, count, input, output);
}

void Dequantize(const DequantizeArgs& args, int32_t count, const int16_t* input, float* output) {
  DequantizeCodes(args, count, input, output);
}

}  // namespace micro
}  // namespace edgeax
