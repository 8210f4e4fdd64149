#pragma once  // micro/add_helium.h: sums of two runs of codes with Helium, four at a time.

#include <arm_mve.h>

#include "tflite_kernels/micro/add_steps.h"

namespace edgeax {
namespace micro {
namespace {

#define EDGEAX_SCALE(numbers, multiplier, shift)                 \
  "vqrdmulh.s32 %q[" numbers "], %q[" numbers "], %[" multiplier \
  "]\n"                                                          \
  "vshr.s32 %q[sign], %q[" numbers                               \
  "], #31\n"                                                     \
  "vadd.i32 %q[" numbers "], %q[" numbers                        \
  "], %q[sign]\n"                                                \
  "vrshl.s32 %q[" numbers "], %[" shift "]\n"
#define EDGEAX_ADD(size, step) \
  __asm__ volatile(                                                           \
      "dlstp.32 lr, %[count]\n"                                               \
      "1: vldr" size ".s32 %q[y], [%[b]], #" step "\n"                        \
      "vmlas.s32 %q[y], %q[b_unit], %[b_constant]\n"                          \
      EDGEAX_SCALE("y", "b_multiplier", "b_shift")                            \
      "vldr" size ".s32 %q[x], [%[a]], #" step "\n"                           \
      "vmlas.s32 %q[x], %q[a_unit], %[a_constant]\n"                          \
      "vmla.s32 %q[x], %q[y], %[b_sign]\n"                                    \
      EDGEAX_SCALE("x", "multiplier", "shift")                                \
      "vadd.i32 %q[x], %q[x], %q[zero]\n"                                     \
      "vmax.s32 %q[x], %q[x], %q[least]\n"                                    \
      "vmin.s32 %q[x], %q[x], %q[most]\n"                                     \
      "vstr" size ".32 %q[x], [%[output]], #" step "\n"                       \
      "letp lr, 1b\n"                                                         \
      : [a] "+l"(a), [b] "+l"(b), [output] "+l"(output), [x] "=&w"(x), [y] "=&w"(y),         \
        [sign] "=&w"(sign)                                                                   \
      : [count] "r"(count), [b_constant] "r"(-args.b_zero_point * (1 << args.b_shift)),      \
        [b_multiplier] "r"(args.b_factor.multiplier), [b_shift] "r"(args.b_factor.shift),    \
        [a_constant] "r"(-args.a_zero_point * args.a_weight), [b_sign] "r"(args.b_weight),   \
        [multiplier] "r"(args.output_factor.multiplier),                                     \
        [shift] "r"(args.output_factor.shift), [b_unit] "w"(vdupq_n_s32(1 << args.b_shift)), \
        [a_unit] "w"(vdupq_n_s32(args.a_weight)),                                            \
        [zero] "w"(vdupq_n_s32(args.output_zero_point)),                                     \
        [least] "w"(vdupq_n_s32(args.clamp.min)), [most] "w"(vdupq_n_s32(args.clamp.max))    \
      : "lr", "memory")

__attribute__((noinline)) void AddPlain(const AddArgs& args, int32_t count, const int8_t* a,
                                        const int8_t* b, int8_t* output) {
  int32x4_t x, y, sign;
  EDGEAX_ADD("b", "4");
}

__attribute__((noinline)) void AddPlain(const AddArgs& args, int32_t count, const int16_t* a,
                                        const int16_t* b, int16_t* output) {
  int32x4_t x, y, sign;
  EDGEAX_ADD("h", "8");
}
#undef EDGEAX_ADD
#undef EDGEAX_SCALE

template <typename Code>
void AddRun(const AddArgs& args, int32_t count, const Code* a, const Code* b, Code* output) {
  if (args.b_factor.shift < 0 && args.output_factor.shift < 0) {
    AddPlain(args, count, a, b, output);
  } else {
    AddSteps(args, count, a, 1, b, 1, output);
  }
}

void AddRun(const WeightedAddArgs& args, int32_t count, const int8_t* a, const int8_t* b,
            int8_t* output) {
  const int32x4_t least = vdupq_n_s32(args.clamp.min);
  const int32x4_t most = vdupq_n_s32(args.clamp.max);
  for (; count > 0; count -= 4) {
    const mve_pred16_t valid = vctp32q(static_cast<uint32_t>(count));
    int32x4_t sums = vmulq_n_s32(vldrbq_z_s32(a, valid), args.a_weight);
    sums = vmlaq_n_s32(sums, vldrbq_z_s32(b, valid), args.b_weight);
    sums = vshlq_r_s32(vaddq_n_s32(sums, args.bias), -args.shift);
    sums = vaddq_n_s32(sums, args.output_zero_point);
    vstrbq_p_s32(output, vminq_s32(vmaxq_s32(sums, least), most), valid);
    a += 4;
    b += 4;
    output += 4;
  }
}

}  // namespace
}  // namespace micro
}  // namespace edgeax
