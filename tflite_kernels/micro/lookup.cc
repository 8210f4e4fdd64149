#include "tflite_kernels/micro/lookup.h"

#include "tflite_kernels/micro/sigmoid_table.h"

#if defined(__ARM_FEATURE_MVE) && (__ARM_FEATURE_MVE & 1) && !defined(EDGEAX_MICRO_PORTABLE)
#include <arm_mve.h>
#define EDGEAX_MICRO_HELIUM 1
#endif

namespace edgeax {
namespace micro {
namespace {

inline int32_t Scaled(const CurveArgs& args, int16_t code) {
  const int32_t rounding = args.shift > 0 ? 1 << (args.shift - 1) : 0;
  return (code * args.multiplier + rounding) >> args.shift;
}

}  // namespace

#if defined(EDGEAX_MICRO_HELIUM)
void Lookup(const LookupArgs& args, int32_t count, const int8_t* input, int8_t* output) {
  for (; count > 0; count -= 16, input += 16, output += 16) {
    const mve_pred16_t part = vctp8q(static_cast<uint32_t>(count));
    const uint8x16_t codes = vreinterpretq_u8_s8(vldrbq_z_s8(input, part));
    vstrbq_p_s8(output, vldrbq_gather_offset_z_s8(args.table, codes, part), part);
  }
}
#else
static inline int8_t At(const int8_t* table, int8_t code) {
  return table[static_cast<uint8_t>(code)];
}

void Lookup(const LookupArgs& args, int32_t count, const int8_t* input, int8_t* output) {
  const int8_t* const table = args.table;
  for (; count >= 4; count -= 4, input += 4, output += 4) {
    const int8_t first = input[0], second = input[1], third = input[2], fourth = input[3];
    output[0] = At(table, first);
    output[1] = At(table, second);
    output[2] = At(table, third);
    output[3] = At(table, fourth);
  }
  for (; count > 0; --count) *output++ = At(table, *input++);
}
#endif

void Logistic(const CurveArgs& args, int32_t count, const int16_t* input, int16_t* output) {
  for (; count > 0; --count) {
    *output++ = static_cast<int16_t>(TableSigmoid(Scaled(args, *input++)));
  }
}

void Tanh(const CurveArgs& args, int32_t count, const int16_t* input, int16_t* output) {
  for (; count > 0; --count) {
    *output++ = static_cast<int16_t>(TableTanh(Scaled(args, *input++)));
  }
}

}  // namespace micro
}  // namespace edgeax
