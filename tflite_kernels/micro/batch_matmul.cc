#include "tflite_kernels/micro/batch_matmul.h"

namespace edgeax {
namespace micro {
namespace {

template <Rounding kRounding>
int64_t Scaled(int32_t sum, Requantization factor) {
  return Requantize(sum, factor, kRounding);
}

template <Rounding kRounding>
int64_t Scaled(int64_t sum, Requantization factor) {
  return RequantizeInt16(sum, factor, kRounding);
}

template <Rounding kRounding, typename Sum, typename Code>
void Run(const BatchMatMulArgs& args, const Code* first, const Code* second, Code* output) {
  const Clamp whole = {sizeof(Code) == 1 ? INT8_MIN : INT16_MIN,
                       sizeof(Code) == 1 ? INT8_MAX : INT16_MAX};
  const int32_t* starts = args.starts;
  for (int32_t batch = 0; batch < args.batches; ++batch, starts += 2) {
    const Code* row = first + starts[0];
    for (int32_t i = 0; i < args.rows; ++i, row += args.first_row) {
      const Code* column = second + starts[1];
      for (int32_t j = 0; j < args.columns; ++j, column += args.second_column) {
        const Code* left = row;
        const Code* right = column;
        Sum sum = 0;
        for (int32_t k = 0; k < args.depth; ++k) {
          sum +=
              static_cast<Sum>(*left - args.first_zero_point) * (*right - args.second_zero_point);
          left += args.first_step;
          right += args.second_step;
        }
        const int64_t code = Scaled<kRounding>(sum, args.factor) + args.output_zero_point;
        *output++ = static_cast<Code>(Clamped(SaturateToInt32(code), whole));
      }
    }
  }
}

}  // namespace

template <Rounding kRounding>
void BatchMatMul(const BatchMatMulArgs& args, const int8_t* first, const int8_t* second,
                 int8_t* output) {
  Run<kRounding, int32_t>(args, first, second, output);
}

template <Rounding kRounding>
void BatchMatMul(const BatchMatMulArgs& args, const int16_t* first, const int16_t* second,
                 int16_t* output) {
  Run<kRounding, int64_t>(args, first, second, output);
}

template void BatchMatMul<Rounding::kSingle>(const BatchMatMulArgs&, const int8_t*, const int8_t*,
                                             int8_t*);
template void BatchMatMul<Rounding::kDouble>(const BatchMatMulArgs&, const int8_t*, const int8_t*,
                                             int8_t*);
template void BatchMatMul<Rounding::kSingle>(const BatchMatMulArgs&, const int16_t*, const int16_t*,
                                             int16_t*);
template void BatchMatMul<Rounding::kDouble>(const BatchMatMulArgs&, const int16_t*, const int16_t*,
                                             int16_t*);

}  // namespace micro
}  // namespace edgeax
