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
          weight += args.weight_step;
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
void SweepRows(const DepthwiseConv2DArgs& args, const Sweep<int8_t>& sweep, int32_t) {
  if (sweep.factor.shift >= 0) {
    SweepAny<kRounding, uint32_t>(args, sweep);
  } else {
    SweepWindow<kRounding>(args, sweep);
  }
}

template <Rounding kRounding>
void SweepRows(const DepthwiseConv2DArgs& args, const Sweep<int16_t>& sweep, int32_t) {
  SweepAny<kRounding, uint64_t>(args, sweep);
}

}  // namespace
}  // namespace micro
}  // namespace edgeax
