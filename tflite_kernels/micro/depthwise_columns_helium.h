#pragma once  // micro/depthwise_columns_helium.h: windows of 3 x 3 as dot products with Helium.

#include "tflite_kernels/micro/depthwise_helium.h"

namespace edgeax {
namespace micro {
namespace {

// Planes lie column by column here, six rows each: then the nine elements of a window are among 16
// neighbors, and one load and one dot product give a sum. Six rows are four rows of outputs, or two
// with strides of 2.
constexpr int32_t kColumn = 6;

inline bool HasColumns(const DepthwiseConv2DArgs& args, int32_t stride3x3) {
  return stride3x3 != 0 && args.plane_rows == kColumn && args.group_rows == 4 / stride3x3 &&
         args.depth_multiplier == 1 && args.channels <= kMostGathered;
}

// Rows 4 and 5 of all columns become rows 0 and 1.
__attribute__((noinline)) void KeepTwoRows(int8_t* planes, int32_t columns) {
  const uint16x8_t offsets = vmulq_n_u16(vidupq_n_u16(0, 1), kColumn);
  for (; columns > 0; columns -= 8) {
    const mve_pred16_t valid = vctp16q(static_cast<uint32_t>(columns));
    int16_t* to = reinterpret_cast<int16_t*>(planes);
    vstrhq_scatter_offset_p_s16(to, offsets, vldrhq_gather_offset_z_s16(to + 2, offsets, valid),
                                valid);
    planes += 8 * kColumn;
  }
}

// `count` rows of an image to rows of the planes.
__attribute__((noinline)) void TakeRows(const DepthwiseConv2DArgs& args, const int8_t* pixels,
                                        int32_t count, int32_t planes, int8_t* to) {
  const uint16x8_t numbers = vidupq_n_u16(0, 1);
  const uint16x8_t from_offsets = vmulq_n_u16(numbers, static_cast<uint16_t>(args.channels));
  const uint16x8_t to_offsets = vmulq_n_u16(numbers, kColumn);
  const int32_t plane_size = kColumn * args.plane_pitch;
  const int32_t row_size = args.width * args.channels;
  for (int32_t begin = 0; begin < args.width; begin += 8) {
    const mve_pred16_t valid = vctp16q(static_cast<uint32_t>(args.width - begin));
    const int8_t* row = pixels + begin * args.channels;
    for (int32_t y = 0; y < count; ++y) {
      int8_t* plane = to + begin * kColumn + y;
      const int8_t* from = row;
      for (int32_t i = planes; i > 0; --i) {
        vstrbq_scatter_offset_p_s16(plane, to_offsets,
                                    vldrbq_gather_offset_z_s16(from++, from_offsets, valid), valid);
        plane += plane_size;
      }
      row += row_size;
    }
  }
}

__attribute__((noinline)) void ClearRow(const DepthwiseConv2DArgs& args, int32_t planes,
                                        int8_t* to) {
  const uint16x8_t offsets = vmulq_n_u16(vidupq_n_u16(0, 1), kColumn);
  const int16x8_t zero = vdupq_n_s16(static_cast<int16_t>(args.input_zero_point));
  for (int32_t columns = planes * args.plane_pitch; columns > 0; columns -= 8) {
    vstrbq_scatter_offset_p_s16(to, offsets, zero, vctp16q(static_cast<uint32_t>(columns)));
    to += 8 * kColumn;
  }
}

// The same for all channels.
struct Lanes {
  uint32x4_t offsets;
  int32x4_t zero_point, least, most;
  int32_t step;  // from four outputs to the next four
};

// The window of one output channel.
struct Window {
  int8x16_t weights;
  int32_t bias;
  Requantization factor;
};

// `steps` are 0, 1 and 2 times the distance of two weights, `places` 0, 1 and 2 columns.
inline int8x16_t WeightsOf(const int8_t* weight, int32_t step, uint32x4_t steps,
                           uint32x4_t places) {
  alignas(8) int8_t lanes[16];
  vstrbq_s8(lanes, vdupq_n_s8(0));
  const mve_pred16_t valid = vctp32q(3);
  for (int32_t row = 0; row < 3; ++row) {
    vstrbq_scatter_offset_p_s32(lanes + row, places,
                                vldrbq_gather_offset_z_s32(weight, steps, valid), valid);
    weight += 3 * step;
  }
  return vldrbq_s8(lanes);
}

#define EDGEAX_SINGLE "vqdmulh.s32 %q[sums], %q[sums], %[multiplier]\n"
#define EDGEAX_DOUBLE                                \
  "vqrdmulh.s32 %q[sums], %q[sums], %[multiplier]\n" \
  "vshr.s32 %q[x], %q[sums], #31\n"                  \
  "vadd.i32 %q[sums], %q[sums], %q[x]\n"
// Four sums, of windows at some distances from `from`; the last of them is at 0.
#define EDGEAX_FOUR(second, third, fourth, next, HIGH) \
  "vmsr p0, %[b]\n"                                    \
  "dls lr, %[a]\n"                                     \
  "1: vldrb.8 %q[x], [%[from], #" second               \
  "]\n"                                                \
  "vmladav.s8 %[b], %q[x], %q[weights]\n"              \
  "vldrb.8 %q[x], [%[from], #" third                   \
  "]\n"                                                \
  "vmladav.s8 %[c], %q[x], %q[weights]\n"              \
  "vldrb.8 %q[x], [%[from], #" fourth                  \
  "]\n"                                                \
  "vmladav.s8 %[d], %q[x], %q[weights]\n"              \
  "vldrb.8 %q[x], [%[from]], #" next                   \
  "\n"                                                 \
  "vmladav.s8 %[a], %q[x], %q[weights]\n"              \
  "vmov %q[sums][2], %q[sums][0], %[a], %[c]\n"        \
  "vmov %q[sums][3], %q[sums][1], %[b], %[d]\n"        \
  "vadd.i32 %q[sums], %q[sums], %q[bias]\n" HIGH       \
  "vrshl.s32 %q[sums], %[shift]\n"                     \
  "vadd.i32 %q[sums], %q[sums], %q[zero]\n"            \
  "vmax.s32 %q[sums], %q[sums], %q[least]\n"           \
  "vmin.s32 %q[sums], %q[sums], %q[most]\n"            \
  "vpst\n"                                             \
  "vstrbt.32 %q[sums], [%[output], %q[offsets]]\n"     \
  "add %[output], %[output], %[step]\n"                \
  "le lr, 1b\n"

// Four codes, `count` times: of four rows, or kPairs: of two rows and two columns. Of each four
// those are written for which `valid` has bits.
template <Rounding kRounding, int32_t kStride, bool kPairs>
inline void SweepFours(const int8_t* from, const Window& window, const Lanes& lanes, int32_t count,
                       uint32_t valid, int8_t* output) {
  int32_t a = count, b = static_cast<int32_t>(valid), c, d;
  int32x4_t x, sums;
#define EDGEAX_SWEEP(text)                                                                      \
  __asm__ volatile(                                                                             \
      text                                                                                      \
      : [from] "+r"(from), [output] "+r"(output), [a] "+Te"(a), [b] "+Te"(b), [c] "=&Te"(c),    \
        [d] "=&Te"(d), [x] "=&w"(x), [sums] "=&w"(sums)                                         \
      : [bias] "w"(vdupq_n_s32(window.bias)), [multiplier] "r"(window.factor.multiplier),       \
        [shift] "r"(window.factor.shift), [zero] "w"(lanes.zero_point), [step] "r"(lanes.step), \
        [weights] "w"(window.weights), [offsets] "w"(lanes.offsets), [least] "w"(lanes.least),  \
        [most] "w"(lanes.most)                                                                  \
      : "lr", "memory")
#define EDGEAX_SWEEP_AS(second, third, fourth, next)                       \
  if (kRounding == Rounding::kSingle) {                                    \
    EDGEAX_SWEEP(EDGEAX_FOUR(second, third, fourth, next, EDGEAX_SINGLE)); \
  } else {                                                                 \
    EDGEAX_SWEEP(EDGEAX_FOUR(second, third, fourth, next, EDGEAX_DOUBLE)); \
  }
  if (kStride == 2) {
    EDGEAX_SWEEP_AS("2", "12", "14", "24")
  } else if (kPairs) {
    EDGEAX_SWEEP_AS("1", "6", "7", "12")
  } else {
    EDGEAX_SWEEP_AS("1", "2", "3", "6")
  }
#undef EDGEAX_SWEEP_AS
#undef EDGEAX_SWEEP
}
#undef EDGEAX_FOUR
#undef EDGEAX_DOUBLE
#undef EDGEAX_SINGLE

// Lanes of four rows, or of pairs: then 0 and 2 are of the first row, 0 and 1 of the first column.
inline Lanes LanesOf(const DepthwiseConv2DArgs& args, bool pairs) {
  const uint32_t channels = static_cast<uint32_t>(args.channels);
  const uint32_t row = static_cast<uint32_t>(args.output_width) * channels;
  const uint32x4_t numbers = vidupq_n_u32(0, 1);
  uint32x4_t offsets = vmulq_n_u32(numbers, row);
  if (pairs) {
    offsets = vaddq_u32(vmulq_n_u32(vandq_u32(numbers, vdupq_n_u32(1)), row),
                        vmulq_n_u32(vshrq_n_u32(numbers, 1), channels));
  }
  return {offsets, vdupq_n_s32(args.output_zero_point), vdupq_n_s32(args.clamp.min),
          vdupq_n_s32(args.clamp.max), (pairs ? 2 : 1) * args.channels};
}

// One or two rows of outputs of one channel.
template <Rounding kRounding, int32_t kStride>
inline void SweepPairs(const int8_t* plane, const Window& window, const Lanes& lanes,
                       int32_t columns, int32_t rows, int8_t* output) {
  const uint32_t valid = rows == 2 ? 0xFFFF : 0x0F0F;
  const int32_t pairs = columns / 2;
  if (pairs > 0) {
    SweepFours<kRounding, kStride, true>(plane, window, lanes, pairs, valid, output);
  }
  if (columns % 2 != 0) {
    plane += 2 * kStride * kColumn * pairs;
    output += pairs * lanes.step;
    SweepFours<kRounding, kStride, true>(plane, window, lanes, 1, valid & 0xFF, output);
  }
}

template <Rounding kRounding, int32_t kStride>
__attribute__((noinline)) void RunColumns(const DepthwiseConv2DArgs& args, const Rows& rows,
                                          const Block<int8_t>& block) {
  const int32_t channel = block.channel, planes = block.planes;
  const int32_t channels = args.channels;
  const int32_t step = args.weight_step;
  const int8_t* const weights = block.weights;
  const int8_t* const input = block.input;
  int8_t* const scratch = block.scratch;
  int8_t* output = block.output;
  const int32_t plane_size = kColumn * args.plane_pitch;
  const Lanes lanes = LanesOf(args, false);
  const Lanes pairs = LanesOf(args, true);
  Window windows[kDepthwiseBlock];
  const uint32x4_t numbers = vidupq_n_u32(0, 1);
  const uint32x4_t steps = vmulq_n_u32(numbers, static_cast<uint32_t>(step));
  const uint32x4_t places = vmulq_n_u32(numbers, kColumn);
  for (int32_t i = 0; i < planes; ++i) {
    windows[i] = {WeightsOf(weights + i, step, steps, places), args.bias[channel + i],
                  FactorOf(args.factors, channel + i)};
  }
  int32_t row = 0;
  for (int32_t begin = rows.begin; begin < rows.end; begin += 4 / kStride) {
    const int32_t left = rows.end - begin;
    const int32_t count = left < 4 / kStride ? left : 4 / kStride;
    const int32_t first = begin * kStride - args.pad_top;
    const int32_t needed = (count - 1) * kStride + 3;
    for (; row < needed && first + row < 0; ++row) ClearRow(args, planes, scratch + row);
    const int32_t of_image = args.height - first < needed ? args.height - first : needed;
    if (row < of_image) {
      const int32_t y = first + row - rows.input_begin;
      TakeRows(args, input + y * args.width * channels + channel, of_image - row, planes,
               scratch + kColumn * args.pad_left + row);
      row = of_image;
    }
    for (; row < needed; ++row) ClearRow(args, planes, scratch + row);
    for (int32_t i = 0; i < planes; ++i) {
      const int8_t* plane = scratch + i * plane_size;
      int8_t* to = output + channel + i;
      if (windows[i].factor.shift < 0 && kStride == 1 && count > 2) {
        const uint32_t valid = vctp32q(static_cast<uint32_t>(count));
        SweepFours<kRounding, 1, false>(plane, windows[i], lanes, args.output_width, valid, to);
      } else if (windows[i].factor.shift < 0) {
        SweepPairs<kRounding, kStride>(plane, windows[i], pairs, args.output_width, count, to);
      } else {
        SweepAny<kRounding, uint32_t>(
            args, Sweep<int8_t>{plane, to, count, channels, weights + i, windows[i].bias,
                                windows[i].factor, 1, kColumn});
      }
    }
    output += count * args.output_width * channels;
    if (left > count) KeepTwoRows(scratch, planes * args.plane_pitch);
    row = 3 - kStride;
  }
}

}  // namespace
}  // namespace micro
}  // namespace edgeax
