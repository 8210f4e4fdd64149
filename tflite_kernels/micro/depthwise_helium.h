#pragma once  // micro/depthwise_helium.h: sweeps with Helium, four columns at a time.

#include <arm_mve.h>

#include "tflite_kernels/micro/depthwise_sweep.h"

namespace edgeax {
namespace micro {
namespace {

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

template <Rounding kRounding>
__attribute__((noinline)) void Sweep3x3(const DepthwiseConv2DArgs& args,
                                        const Sweep<int8_t>& sweep) {
  const int32_t pitch = args.plane_pitch;
  const int32_t step = sweep.channels;
  const int8_t* w = sweep.weights;
  const int32_t w00 = w[0], w01 = w[step], w02 = w[2 * step];
  w += 3 * step;
  const int32_t w10 = w[0], w11 = w[step], w12 = w[2 * step];
  w += 3 * step;
  const int32_t w20 = w[0], w21 = w[step], w22 = w[2 * step];
  const uint32x4_t offsets = vmulq_n_u32(vidupq_n_u32(0, 1), static_cast<uint32_t>(step));
  int8_t* output = sweep.output;
  const int8_t* line = sweep.plane;
  for (int32_t y = 0; y < sweep.rows; ++y) {
    const int8_t* row0 = line;
    const int8_t* row1 = line + pitch;
    const int8_t* row2 = row1 + pitch;
    for (int32_t left = args.output_width; left > 0; left -= 4) {
      int32x4_t sums = vdupq_n_s32(sweep.bias);
      sums = vmlaq_n_s32(sums, vldrbq_s32(row0), w00);
      sums = vmlaq_n_s32(sums, vldrbq_s32(row0 + 1), w01);
      sums = vmlaq_n_s32(sums, vldrbq_s32(row0 + 2), w02);
      sums = vmlaq_n_s32(sums, vldrbq_s32(row1), w10);
      sums = vmlaq_n_s32(sums, vldrbq_s32(row1 + 1), w11);
      sums = vmlaq_n_s32(sums, vldrbq_s32(row1 + 2), w12);
      sums = vmlaq_n_s32(sums, vldrbq_s32(row2), w20);
      sums = vmlaq_n_s32(sums, vldrbq_s32(row2 + 1), w21);
      sums = vmlaq_n_s32(sums, vldrbq_s32(row2 + 2), w22);
      const int32x4_t codes = CodesOf<kRounding>(sums, args, sweep.factor);
      vstrbq_scatter_offset_p_s32(output, offsets, codes, vctp32q(static_cast<uint32_t>(left)));
      row0 += 4;
      row1 += 4;
      row2 += 4;
      output += (left < 4 ? left : 4) * step;
    }
    line += pitch;
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
void SweepRows(const DepthwiseConv2DArgs& args, const Sweep<int8_t>& sweep) {
  const bool is_3x3 = args.kernel_height == 3 && args.kernel_width == 3 &&
                      args.dilation_height == 1 && args.dilation_width == 1 &&
                      args.stride_height == 1 && args.stride_width == 1;
  if (sweep.factor.shift >= 0) {
    SweepAny<kRounding, int32_t>(args, sweep);
  } else if (is_3x3) {
    Sweep3x3<kRounding>(args, sweep);
  } else {
    SweepWindow<kRounding>(args, sweep);
  }
}

template <Rounding kRounding>
void SweepRows(const DepthwiseConv2DArgs& args, const Sweep<int16_t>& sweep) {
  SweepAny<kRounding, int64_t>(args, sweep);
}

}  // namespace
}  // namespace micro
}  // namespace edgeax
