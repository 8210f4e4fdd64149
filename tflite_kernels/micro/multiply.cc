#include "tflite_kernels/micro/multiply.h"

namespace edgeax {
namespace micro {
namespace {

template <Rounding kRounding, typename Code>
__attribute__((noinline)) void MultiplySteps(const MultiplyArgs& args, int32_t count, const Code* a,
                                             int32_t a_step, const Code* b, int32_t b_step,
                                             Code* output) {
  for (int32_t i = 0; i < count; ++i) {
    const int32_t product = (*a - args.a_zero_point) * (*b - args.b_zero_point);
    const int32_t code = Requantize(product, args.factor, kRounding) + args.output_zero_point;
    output[i] = static_cast<Code>(Clamped(code, args.clamp));
    a += a_step;
    b += b_step;
  }
}

template <Rounding kRounding, typename Code>
void RunBroadcast(const BroadcastMultiplyArgs& args, const Code* a, const Code* b, Code* output) {
  ForEachRun(args.broadcast, a, b, output,
             [&args](int32_t count, const Code* a, int32_t a_step, const Code* b, int32_t b_step,
                     Code* output) {
               MultiplySteps<kRounding>(args.multiply, count, a, a_step, b, b_step, output);
             });
}

}  // namespace

template <Rounding kRounding>
void Multiply(const MultiplyArgs& args, int32_t count, const int8_t* a, const int8_t* b,
              int8_t* output) {
  MultiplySteps<kRounding>(args, count, a, 1, b, 1, output);
}

void Multiply(const MultiplyArgs& args, int32_t count, const int16_t* a, const int16_t* b,
              int16_t* output) {
  MultiplySteps<Rounding::kDouble>(args, count, a, 1, b, 1, output);
}

template <Rounding kRounding>
void MultiplyBroadcast(const BroadcastMultiplyArgs& args, const int8_t* a, const int8_t* b,
                       int8_t* output) {
  RunBroadcast<kRounding>(args, a, b, output);
}

void MultiplyBroadcast(const BroadcastMultiplyArgs& args, const int16_t* a, const int16_t* b,
                       int16_t* output) {
  RunBroadcast<Rounding::kDouble>(args, a, b, output);
}

template void Multiply<Rounding::kSingle>(const MultiplyArgs&, int32_t, const int8_t*,
                                          const int8_t*, int8_t*);
template void Multiply<Rounding::kDouble>(const MultiplyArgs&, int32_t, const int8_t*,
                                          const int8_t*, int8_t*);
template void MultiplyBroadcast<Rounding::kSingle>(const BroadcastMultiplyArgs&, const int8_t*,
                                                   const int8_t*, int8_t*);
template void MultiplyBroadcast<Rounding::kDouble>(const BroadcastMultiplyArgs&, const int8_t*,
                                                   const int8_t*, int8_t*);

}  // namespace micro
}  // namespace edgeax
