#pragma once  // micro/add_dsp.h: sums of two runs of codes with the DSP instructions of Arm.

#include "tflite_kernels/micro/add_steps.h"

namespace edgeax {
namespace micro {
namespace {

// What the loop below reads from memory, in this order. Factors are those of doubled numbers.
struct Rescaling {
  int32_t b_unit, b_constant;  // b_unit * b + b_constant is a number to scale
  int32_t b_multiplier, b_half;
  int32_t b_sign, constant;
  int32_t multiplier, addend;
  int32_t b_shift, a_unit, shift;
};

inline bool IsPlain(const AddArgs& args) {
  return args.b_factor.shift < 0 && args.output_factor.shift < 0 && args.output_factor.shift > -23;
}

inline Rescaling RescalingOf(const AddArgs& args) {
  const int32_t b_unit = 2 << args.b_shift;
  const int32_t shift = -args.output_factor.shift;
  return {b_unit,
          -args.b_zero_point * b_unit,
          args.b_factor.multiplier,
          1 << (-args.b_factor.shift - 1),
          2 * args.b_weight,
          -args.a_zero_point * 2 * args.a_weight,
          args.output_factor.multiplier,
          (1 << (shift - 1)) + args.output_zero_point * (1 << shift),
          -args.b_factor.shift,
          2 * args.a_weight,
          shift};
}

#define EDGEAX_EACH(word, rest)                                                           \
  word " %[s0], %[s0]" rest "\n" word " %[s1], %[s1]" rest "\n" word " %[s2], %[s2]" rest \
       "\n" word " %[s3], %[s3]" rest "\n"
#define EDGEAX_ADD_SIGN                \
  "add %[s0], %[s0], %[s0], asr #31\n" \
  "add %[s1], %[s1], %[s1], asr #31\n" \
  "add %[s2], %[s2], %[s2], asr #31\n" \
  "add %[s3], %[s3], %[s3], asr #31\n"
#define EDGEAX_ADD_A(sum, turn) \
  "sxtb %[d], %[w]" turn        \
  "\n"                          \
  "mla %[" sum "], %[d], %[c], %[" sum "]\n"

// Four sums at a time, `fours` times.
__attribute__((noinline)) void AddFours(const Rescaling& rescaling, int32_t fours, const int8_t* a,
                                        const int8_t* b, int8_t* output) {
  int32_t s0, s1, s2, s3, c, d, w;
  __asm__ volatile(
      "1: ldr %[w], [%[b]], #4\n"
      "ldrd %[c], %[d], [%[of]]\n"
      "sxtb %[s0], %[w]\n"
      "sxtb %[s1], %[w], ror #8\n"
      "sxtb %[s2], %[w], ror #16\n"
      "sxtb %[s3], %[w], ror #24\n"
      EDGEAX_EACH("mla", ", %[c], %[d]")
      "ldrd %[c], %[d], [%[of], #8]\n"
      EDGEAX_EACH("smmulr", ", %[c]")
      EDGEAX_ADD_SIGN
      "ldr %[c], [%[of], #32]\n"
      EDGEAX_EACH("add", ", %[d]")
      EDGEAX_EACH("asr", ", %[c]")
      "ldrd %[c], %[d], [%[of], #16]\n"
      "ldr %[w], [%[a]], #4\n"
      EDGEAX_EACH("mla", ", %[c], %[d]")
      "ldr %[c], [%[of], #36]\n"
      EDGEAX_ADD_A("s0", "") EDGEAX_ADD_A("s1", ", ror #8")
      EDGEAX_ADD_A("s2", ", ror #16") EDGEAX_ADD_A("s3", ", ror #24")
      "ldrd %[c], %[d], [%[of], #24]\n"
      EDGEAX_EACH("smmulr", ", %[c]")
      EDGEAX_ADD_SIGN
      "ldr %[c], [%[of], #40]\n"
      EDGEAX_EACH("add", ", %[d]")
      EDGEAX_EACH("asr", ", %[c]")
      "ssat %[s0], #8, %[s0]\n"
      "ssat %[s1], #8, %[s1]\n"
      "ssat %[s2], #8, %[s2]\n"
      "ssat %[s3], #8, %[s3]\n"
      "strb %[s0], [%[output]], #1\n"
      "strb %[s1], [%[output]], #1\n"
      "strb %[s2], [%[output]], #1\n"
      "strb %[s3], [%[output]], #1\n"
      "subs %[fours], %[fours], #1\n"
      "bne 1b\n"
      : [a] "+r"(a), [b] "+r"(b), [output] "+r"(output), [fours] "+r"(fours), [s0] "=&r"(s0),
        [s1] "=&r"(s1), [s2] "=&r"(s2), [s3] "=&r"(s3), [c] "=&r"(c), [d] "=&r"(d), [w] "=&r"(w)
      : [of] "r"(&rescaling), "m"(rescaling)
      : "cc", "memory");
}
#undef EDGEAX_ADD_A
#undef EDGEAX_ADD_SIGN
#undef EDGEAX_EACH

template <typename Args, typename Code>
void AddRun(const Args& args, int32_t count, const Code* a, const Code* b, Code* output) {
  AddSteps(args, count, a, 1, b, 1, output);
}

void AddRun(const AddArgs& args, int32_t count, const int8_t* a, const int8_t* b, int8_t* output) {
  if (count >= 4 && IsPlain(args)) {
    const int32_t done = count & ~3;
    AddFours(RescalingOf(args), done / 4, a, b, output);
    if (args.clamp.min > -128 || args.clamp.max < 127) {
      for (int32_t i = 0; i < done; ++i) {
        output[i] = static_cast<int8_t>(Clamped(output[i], args.clamp));
      }
    }
    count -= done;
    a += done;
    b += done;
    output += done;
  }
  AddSteps(args, count, a, 1, b, 1, output);
}

}  // namespace
}  // namespace micro
}  // namespace edgeax
