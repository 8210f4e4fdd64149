#pragma once  // micro/depthwise_helium.h: sweeps with Helium, four columns at a time.

#include <arm_mve.h>

#include "tflite_kernels/micro/depthwise_planes.h"
#include "tflite_kernels/micro/depthwise_sweep.h"

namespace edgeax {
namespace micro {
namespace {

constexpr int32_t kMostGathered = UINT16_MAX / 7;  // channels, of 8 pixels

void MoveDown(int8_t* to, const int8_t* from, int32_t count) {
  for (; count > 0; count -= 16) {
    const mve_pred16_t valid = vctp8q(static_cast<uint32_t>(count));
    vstrbq_p_s8(to, vldrbq_z_s8(from, valid), valid);
    to += 16;
    from += 16;
  }
}

// Eight pixels of a channel at a time.
void TakeApart(const int8_t* pixels, int32_t width, int32_t channels, int32_t planes,
               int32_t plane_size, int8_t* to) {
  if (channels > kMostGathered) {
    TakeApart<int8_t>(pixels, width, channels, planes, plane_size, to);
    return;
  }
  const uint16x8_t offsets = vmulq_n_u16(vidupq_n_u16(0, 1), static_cast<uint16_t>(channels));
  for (; width > 0; width -= 8) {
    const mve_pred16_t valid = vctp16q(static_cast<uint32_t>(width));
    int8_t* plane = to;
    for (int32_t channel = 0; channel < planes; ++channel) {
      vstrbq_p_s16(plane, vldrbq_gather_offset_z_s16(pixels + channel, offsets, valid), valid);
      plane += plane_size;
    }
    pixels += 8 * channels;
    to += 8;
  }
}

// Codes of four sums; shifts right only.
template <Rounding kRounding>
static inline int32x4_t CodesOf(int32x4_t sums, const DepthwiseConv2DArgs& args,
                                Requantization factor) {
  int32x4_t high;
  if (kRounding == Rounding::kSingle) {
    high = vqdmulhq_n_s32(sums, factor.multiplier);
  } else {
    high = vqrdmulhq_n_s32(sums, factor.multiplier);
    high = vaddq_s32(high, vshrq_n_s32(high, 31));
  }
  int32x4_t codes = vaddq_n_s32(vrshlq_n_s32(high, factor.shift), args.output_zero_point);
  codes = vmaxq_s32(codes, vdupq_n_s32(args.clamp.min));
  return vminq_s32(codes, vdupq_n_s32(args.clamp.max));
}

// What the loops below read from memory, in this order.
struct Window3x3 {
  int32_t weights[9];
  int32_t multiplier, shift;
  int32_t output_step;  // from four columns to the next four
};

static inline Window3x3 WindowOf(const Sweep<int8_t>& sweep) {
  Window3x3 window;
  const int8_t* weight = sweep.weights;
  for (int32_t& to : window.weights) {
    to = *weight;
    weight += sweep.channels;
  }
  window.multiplier = sweep.factor.multiplier;
  window.shift = sweep.factor.shift;
  window.output_step = 4 * sweep.channels;
  return window;
}

// Vectors that stay the same in all rows.
struct Lanes {
  int32x4_t bias, zero_point, least, most;
  uint32x4_t offsets, columns;
};

// Instructions: four columns of a row, times a weight.
#define EDGEAX_TAP(row, step, weight)        \
  "vldrb.s32 %q[x], [%[row" row "]], #" step \
  "\n"                                       \
  "vmla.s32 %q[sums], %q[x], %[" weight "]\n"
#define EDGEAX_FAR_TAP(row, step, weight)    \
  "vldrb.s32 %q[x], [%[row" row              \
  "], %q[columns]]\n"                        \
  "add %[row" row "], %[row" row "], #" step \
  "\n"                                       \
  "vmla.s32 %q[sums], %q[x], %[" weight "]\n"
// From sums to high words of their products.
#define EDGEAX_SINGLE "vqdmulh.s32 %q[sums], %q[sums], %[b]\n"
#define EDGEAX_DOUBLE                       \
  "vqrdmulh.s32 %q[sums], %q[sums], %[b]\n" \
  "vshr.s32 %q[x], %q[sums], #31\n"         \
  "vadd.i32 %q[sums], %q[sums], %q[x]\n"
#define EDGEAX_COLUMNS(TAP, last, HIGH)                                                        \
  "dlstp.32 lr, %[count]\n"                                                                    \
  "1:\n"                                                                                       \
  "ldrd %[a], %[b], [%[window]]\n"                                                             \
  "vmov %q[sums], %q[bias]\n" TAP("0", "1", "a")                                               \
      TAP("0", "1", "b") "ldrd %[a], %[b], [%[window], #8]\n" TAP("0", last, "a")              \
          TAP("1", "1", "b") "ldrd %[a], %[b], [%[window], #16]\n" TAP("1", "1", "a")          \
              TAP("1", last, "b") "ldrd %[a], %[b], [%[window], #24]\n" TAP("2", "1", "a")     \
                  TAP("2", "1", "b") "ldrd %[a], %[b], [%[window], #32]\n" TAP("2", last, "a") \
                      HIGH                                                                     \
      "ldrd %[a], %[b], [%[window], #40]\n"                                                    \
      "vrshl.s32 %q[sums], %[a]\n"                                                             \
      "vadd.i32 %q[sums], %q[sums], %q[zero]\n"                                                \
      "vmax.s32 %q[sums], %q[sums], %q[least]\n"                                               \
      "vmin.s32 %q[sums], %q[sums], %q[most]\n"                                                \
      "vstrb.32 %q[sums], [%[output], %q[offsets]]\n"                                          \
      "add %[output], %[output], %[b]\n"                                                       \
      "letp lr, 1b\n"

template <Rounding kRounding, int32_t kStride>
static inline void SweepRow(const int8_t* row0, int32_t pitch, int32_t count,
                            const Window3x3& window, const Lanes& lanes, int8_t* output) {
  const int8_t* row1 = row0 + pitch;
  const int8_t* row2 = row1 + pitch;
  int32_t a, b;
  int32x4_t x, sums;
#define EDGEAX_ROW(text, more)                                                          \
  __asm__ volatile(                                                                     \
      text                                                                              \
      : [row0] "+l"(row0), [row1] "+l"(row1), [row2] "+l"(row2), [output] "+r"(output), \
        [a] "=&r"(a), [b] "=&r"(b), [x] "=&w"(x), [sums] "=&w"(sums)                    \
      : [count] "r"(count), [window] "r"(&window), [bias] "w"(lanes.bias),              \
        [zero] "w"(lanes.zero_point), [least] "w"(lanes.least), [most] "w"(lanes.most), \
        [offsets] "w"(lanes.offsets)more, "m"(window)                                   \
      : "lr", "memory")
#define EDGEAX_NO_MORE
#define EDGEAX_COLUMN_LANES , [columns] "w"(lanes.columns)
  if (kRounding == Rounding::kSingle && kStride == 1) {
    EDGEAX_ROW(EDGEAX_COLUMNS(EDGEAX_TAP, "2", EDGEAX_SINGLE), EDGEAX_NO_MORE);
  } else if (kRounding == Rounding::kSingle) {
    EDGEAX_ROW(EDGEAX_COLUMNS(EDGEAX_FAR_TAP, "6", EDGEAX_SINGLE), EDGEAX_COLUMN_LANES);
  } else if (kStride == 1) {
    EDGEAX_ROW(EDGEAX_COLUMNS(EDGEAX_TAP, "2", EDGEAX_DOUBLE), EDGEAX_NO_MORE);
  } else {
    EDGEAX_ROW(EDGEAX_COLUMNS(EDGEAX_FAR_TAP, "6", EDGEAX_DOUBLE), EDGEAX_COLUMN_LANES);
  }
}
#undef EDGEAX_COLUMN_LANES
#undef EDGEAX_NO_MORE
#undef EDGEAX_ROW
#undef EDGEAX_COLUMNS
#undef EDGEAX_DOUBLE
#undef EDGEAX_SINGLE
#undef EDGEAX_FAR_TAP
#undef EDGEAX_TAP

template <Rounding kRounding, int32_t kStride>
__attribute__((noinline)) void Sweep3x3(const DepthwiseConv2DArgs& args,
                                        const Sweep<int8_t>& sweep) {
  const Window3x3 window = WindowOf(sweep);
  const uint32x4_t count = vidupq_n_u32(0, 1);
  const Lanes lanes = {vdupq_n_s32(sweep.bias),
                       vdupq_n_s32(args.output_zero_point),
                       vdupq_n_s32(args.clamp.min),
                       vdupq_n_s32(args.clamp.max),
                       vmulq_n_u32(count, static_cast<uint32_t>(sweep.channels)),
                       vmulq_n_u32(count, kStride)};
  const int32_t row_size = args.output_width * sweep.channels;
  const int8_t* line = sweep.plane;
  int8_t* output = sweep.output;
  for (int32_t y = sweep.rows; y > 0; --y) {
    SweepRow<kRounding, kStride>(line, args.plane_pitch, args.output_width, window, lanes, output);
    line += kStride * args.plane_pitch;
    output += row_size;
  }
}

// Any window.
template <Rounding kRounding>
__attribute__((noinline)) void SweepWindow(const DepthwiseConv2DArgs& args,
                                           const Sweep<int8_t>& sweep) {
  const int32_t row_step = args.dilation_height * args.plane_pitch;
  const int32_t stride = args.stride_width;
  const uint32x4_t count = vidupq_n_u32(0, 1);
  const uint32x4_t columns = vmulq_n_u32(count, static_cast<uint32_t>(stride));
  const uint32x4_t offsets = vmulq_n_u32(count, static_cast<uint32_t>(sweep.channels));
  int8_t* output = sweep.output;
  for (int32_t y = 0; y < sweep.rows; ++y) {
    const int8_t* row = sweep.plane + y * args.stride_height * args.plane_pitch;
    for (int32_t left = args.output_width; left > 0; left -= 4) {
      const mve_pred16_t valid = vctp32q(static_cast<uint32_t>(left));
      const int8_t* weight = sweep.weights;
      const int8_t* line = row;
      int32x4_t sums = vdupq_n_s32(sweep.bias);
      for (int32_t ky = 0; ky < args.kernel_height; ++ky) {
        const int8_t* tap = line;
        for (int32_t kx = args.kernel_width; kx > 0; --kx) {
          sums = vmlaq_n_s32(sums, vldrbq_gather_offset_z_s32(tap, columns, valid), *weight);
          tap += args.dilation_width;
          weight += sweep.channels;
        }
        line += row_step;
      }
      vstrbq_scatter_offset_p_s32(output, offsets, CodesOf<kRounding>(sums, args, sweep.factor),
                                  valid);
      row += 4 * stride;
      output += (left < 4 ? left : 4) * sweep.channels;
    }
  }
}

template <Rounding kRounding>
void SweepRows(const DepthwiseConv2DArgs& args, const Sweep<int8_t>& sweep, int32_t stride3x3) {
  if (sweep.factor.shift >= 0) {
    SweepAny<kRounding, int32_t>(args, sweep);
  } else if (stride3x3 == 1) {
    Sweep3x3<kRounding, 1>(args, sweep);
  } else if (stride3x3 == 2) {
    Sweep3x3<kRounding, 2>(args, sweep);
  } else {
    SweepWindow<kRounding>(args, sweep);
  }
}

template <Rounding kRounding>
void SweepRows(const DepthwiseConv2DArgs& args, const Sweep<int16_t>& sweep, int32_t) {
  SweepAny<kRounding, int64_t>(args, sweep);
}

}  // namespace
}  // namespace micro
}  // namespace edgeax
