#pragma once  // micro/depthwise_dsp.h: sweeps with the DSP instructions of Arm (Cortex-M4, M7).

#include "tflite_kernels/micro/depthwise_planes.h"
#include "tflite_kernels/micro/depthwise_sweep.h"
#include "tflite_kernels/micro/words_dsp.h"

namespace edgeax {
namespace micro {
namespace {

void MoveDown(int8_t* to, const int8_t* from, int32_t count) {
  for (; count >= 4; count -= 4) {
    StoreWord(to, LoadWord(from));
    to += 4;
    from += 4;
  }
  MoveDown<int8_t>(to, from, count);
}

// Four channels of four pixels at a time.
void TakeApart(const int8_t* pixels, int32_t width, int32_t channels, int32_t planes,
               int32_t plane_size, int8_t* to) {
  if (planes < 4) {
    TakeApart<int8_t>(pixels, width, channels, planes, plane_size, to);
    return;
  }
  for (; width >= 4; width -= 4) {
    const uint32_t a = LoadWord(pixels);
    const uint32_t b = LoadWord(pixels + channels);
    pixels += 2 * channels;
    const uint32_t c = LoadWord(pixels);
    const uint32_t d = LoadWord(pixels + channels);
    pixels += 2 * channels;
    uint32_t front = ZeroExtendEven(a) | (ZeroExtendEven(b) << 8);
    uint32_t back = ZeroExtendEven(c) | (ZeroExtendEven(d) << 8);
    StoreWord(to, LowHalves(front, back));
    StoreWord(to + 2 * plane_size, HighHalves(front, back));
    front = ZeroExtendOdd(a) | (ZeroExtendOdd(b) << 8);
    back = ZeroExtendOdd(c) | (ZeroExtendOdd(d) << 8);
    StoreWord(to + plane_size, LowHalves(front, back));
    StoreWord(to + 3 * plane_size, HighHalves(front, back));
    to += 4;
  }
  for (; width > 0; --width) {
    const uint32_t word = LoadWord(pixels);
    to[0] = static_cast<int8_t>(word);
    to[plane_size] = static_cast<int8_t>(word >> 8);
    to[2 * plane_size] = static_cast<int8_t>(word >> 16);
    to[3 * plane_size] = static_cast<int8_t>(word >> 24);
    pixels += channels;
    ++to;
  }
}

// A 3 x 3 window in doubled numbers. A code is (high word of the product + addend) >> shift.
struct Window3x3 {
  // What the loops below read from memory, in this order: they need the registers for the rest.
  int32_t multiplier, addend, bias, shift, step;
  // Left and right weights of each row as halves of a word, the middle ones of rows 0 and 1
  // together.
  uint32_t sides0, sides1, sides2, middles01;
  int32_t middle2;
};

static inline uint32_t Halves(int32_t low, int32_t high) {
  return (static_cast<uint32_t>(low) & 0xFFFF) | (static_cast<uint32_t>(high) << 16);
}

static inline Window3x3 WindowOf(const DepthwiseConv2DArgs& args, const Sweep<int8_t>& sweep) {
  const int32_t step = args.weight_step;
  const int32_t zero_point = args.output_zero_point;
  const int8_t* row0 = sweep.weights;
  const int8_t* row1 = row0 + 3 * step;
  const int8_t* row2 = row1 + 3 * step;
  const int32_t shift = -sweep.factor.shift;
  return {sweep.factor.multiplier,
          (1 << (shift - 1)) + zero_point * (1 << shift),
          2 * sweep.bias,
          shift,
          sweep.channels,
          Halves(2 * row0[0], 2 * row0[2 * step]),
          Halves(2 * row1[0], 2 * row1[2 * step]),
          Halves(2 * row2[0], 2 * row2[2 * step]),
          Halves(2 * row0[step], 2 * row1[step]),
          2 * row2[step]};
}

// Whether doubled sums of 9 products fit 32 bits and a code is a shift of a high word.
static inline bool IsPlain(int32_t bias, Requantization factor) {
  constexpr int32_t kMost = (1 << 30) - 9 * 128 * 128;
  return bias > -kMost && bias < kMost && factor.shift < 0 && factor.shift > -23;
}

// Instructions that load four bytes as (0, 2) in e and (1, 3) in o.
#define EDGEAX_LOAD(address)    \
  "ldr %[e], [%[x]" address     \
  "]\n"                         \
  "sxtb16 %[o], %[e], ror #8\n" \
  "sxtb16 %[e], %[e]\n"
// That multiply a sum by the multiplier, and make it a code; both differ by the rounding.
#define EDGEAX_HIGH_DOUBLE(sum) "smmulr " sum ", " sum ", %[e]\n"
#define EDGEAX_HIGH_SINGLE(sum) "smmul " sum ", " sum ", %[e]\n"
#define EDGEAX_CODE_DOUBLE(sum) "add " sum ", " sum ", " sum ", asr #31\n" EDGEAX_CODE_SINGLE(sum)
#define EDGEAX_CODE_SINGLE(sum) \
  "add " sum ", " sum           \
  ", %[o]\n"                    \
  "asr " sum ", " sum           \
  ", %[e]\n"                    \
  "ssat " sum ", #8, " sum "\n"
// The left one (l) and the right one (r) of two neighboring outputs at a time. The low half of
// `count` counts the columns that are left, the high half is the last weight.
#define EDGEAX_STRIDE1(HIGH, CODE) \
  "1:\n" EDGEAX_LOAD("") \
  "ldr %[l], [%[of], #8]\n" \
  "smlad %[r], %[o], %[sides0], %[l]\n" \
  "smlad %[l], %[e], %[sides0], %[l]\n" \
  "smlabb %[l], %[o], %[middles01], %[l]\n" \
  "smlatb %[r], %[e], %[middles01], %[r]\n" \
  EDGEAX_LOAD(", %[pitch]") \
  "smlad %[l], %[e], %[sides1], %[l]\n" \
  "smlad %[r], %[o], %[sides1], %[r]\n" \
  "smlabt %[l], %[o], %[middles01], %[l]\n" \
  "smlatt %[r], %[e], %[middles01], %[r]\n" \
  EDGEAX_LOAD(", %[pitch], lsl #1") \
  "smlad %[l], %[e], %[sides2], %[l]\n" \
  "smlad %[r], %[o], %[sides2], %[r]\n" \
  "smlabt %[l], %[o], %[count], %[l]\n" \
  "smlatt %[r], %[e], %[count], %[r]\n" \
  "ldrd %[e], %[o], [%[of]]\n" \
  HIGH("%[l]") HIGH("%[r]") \
  "ldr %[e], [%[of], #12]\n" \
  CODE("%[l]") \
  "strb %[l], [%[output]]\n" \
  "sub %[count], %[count], #2\n" \
  "lsls %[l], %[count], #16\n" \
  "bmi 2f\n" \
  CODE("%[r]") \
  "ldr %[l], [%[of], #16]\n" \
  "strb %[r], [%[output], %[l]]\n" \
  "add %[output], %[output], %[l], lsl #1\n" \
  "add %[x], %[x], #2\n" \
  "bne 1b\n" \
  "b 3f\n" \
  "2: ldr %[l], [%[of], #16]\n" \
  "add %[output], %[output], %[l]\n" \
  "3:\n"
// One output at a time.
#define EDGEAX_STRIDE2(HIGH, CODE) \
  "ldr %[r], [%[of], #16]\n" \
  "1:\n" EDGEAX_LOAD("") \
  "ldr %[l], [%[of], #8]\n" \
  "smlad %[l], %[e], %[sides0], %[l]\n" \
  "smlabb %[l], %[o], %[middles01], %[l]\n" \
  EDGEAX_LOAD(", %[pitch]") \
  "smlad %[l], %[e], %[sides1], %[l]\n" \
  "smlabt %[l], %[o], %[middles01], %[l]\n" \
  EDGEAX_LOAD(", %[pitch], lsl #1") \
  "smlad %[l], %[e], %[sides2], %[l]\n" \
  "smlabt %[l], %[o], %[count], %[l]\n" \
  "ldrd %[e], %[o], [%[of]]\n" \
  HIGH("%[l]") \
  "ldr %[e], [%[of], #12]\n" \
  CODE("%[l]") \
  "strb %[l], [%[output]]\n" \
  "add %[output], %[output], %[r]\n" \
  "add %[x], %[x], #2\n" \
  "sub %[count], %[count], #1\n" \
  "lsls %[l], %[count], #16\n" \
  "bne 1b\n"
#define EDGEAX_ROW(text)                                                                    \
  __asm__ volatile(text                                                                     \
                   : [x] "+r"(x), [output] "+r"(output), [count] "+r"(count), [e] "=&r"(e), \
                     [o] "=&r"(o), [l] "=&r"(l), [r] "=&r"(r)                               \
                   : [pitch] "r"(pitch), [of] "r"(&window), [sides0] "r"(window.sides0),    \
                     [sides1] "r"(window.sides1), [sides2] "r"(window.sides2),              \
                     [middles01] "r"(window.middles01), "m"(window)                         \
                   : "cc", "memory")

// Returns where the next row of outputs begins.
template <Rounding kRounding, int32_t kStride>
static inline int8_t* SweepRow(const int8_t* x, int32_t columns, int32_t pitch,
                               const Window3x3& window, int8_t* output) {
  uint32_t count = Halves(columns, window.middle2);
  uint32_t e, o, l, r;
  if (kRounding == Rounding::kSingle && kStride == 1) {
    EDGEAX_ROW(EDGEAX_STRIDE1(EDGEAX_HIGH_SINGLE, EDGEAX_CODE_SINGLE));
  } else if (kRounding == Rounding::kSingle) {
    EDGEAX_ROW(EDGEAX_STRIDE2(EDGEAX_HIGH_SINGLE, EDGEAX_CODE_SINGLE));
  } else if (kStride == 1) {
    EDGEAX_ROW(EDGEAX_STRIDE1(EDGEAX_HIGH_DOUBLE, EDGEAX_CODE_DOUBLE));
  } else {
    EDGEAX_ROW(EDGEAX_STRIDE2(EDGEAX_HIGH_DOUBLE, EDGEAX_CODE_DOUBLE));
  }
  return output;
}
#undef EDGEAX_ROW
#undef EDGEAX_STRIDE2
#undef EDGEAX_STRIDE1
#undef EDGEAX_CODE_SINGLE
#undef EDGEAX_CODE_DOUBLE
#undef EDGEAX_HIGH_SINGLE
#undef EDGEAX_HIGH_DOUBLE
#undef EDGEAX_LOAD

template <Rounding kRounding, int32_t kStride>
__attribute__((noinline)) void Sweep3x3(const DepthwiseConv2DArgs& args,
                                        const Sweep<int8_t>& sweep) {
  const Window3x3 window = WindowOf(args, sweep);
  const int32_t pitch = args.plane_pitch;
  const int32_t columns = args.output_width;
  const int8_t* line = sweep.plane;
  int8_t* output = sweep.output;
  for (int32_t y = sweep.rows; y > 0; --y) {
    output = SweepRow<kRounding, kStride>(line, columns, pitch, window, output);
    line += kStride * pitch;
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
void SweepRows(const DepthwiseConv2DArgs& args, const Sweep<int8_t>& sweep, int32_t stride3x3) {
  if (stride3x3 == 0 || !IsPlain(sweep.bias, sweep.factor)) {
    SweepAny<kRounding, uint32_t>(args, sweep);
    return;
  }
  if (stride3x3 == 1) {
    Sweep3x3<kRounding, 1>(args, sweep);
  } else {
    Sweep3x3<kRounding, 2>(args, sweep);
  }
  if (args.clamp.min > -128 || args.clamp.max < 127) ClampColumn(args, sweep);
}

template <Rounding kRounding>
void SweepRows(const DepthwiseConv2DArgs& args, const Sweep<int16_t>& sweep, int32_t) {
  SweepAny<kRounding, uint64_t>(args, sweep);
}

}  // namespace
}  // namespace micro
}  // namespace edgeax
