#include "tflite_kernels/micro/quantize.h"

namespace edgeax {
namespace micro {
namespace {

// The nearest whole number, of magnitudes up to 2**17; half of a step away from 0 or to the even
// one.
template <Rounding kRounding>
inline int32_t Rounded(float number) {
  const int32_t whole = static_cast<int32_t>(number);
  const float rest = number - static_cast<float>(whole);
  const bool takes_half = kRounding == Rounding::kDouble || (whole & 1) != 0;
  if (rest > 0.5f || (rest == 0.5f && takes_half)) return whole + 1;
  if (rest < -0.5f || (rest == -0.5f && takes_half)) return whole - 1;
  return whole;
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
    *output++ = static_cast<Code>(Clamped(Rounded<kRounding>(number) + args.zero_point, limits));
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
