#pragma once  // arch/int16_depthwise_conv2d.h: depthwise convolution of int16, channels innermost.

#include <string.h>

#include "tflite_kernels/arch/scratch.h"
#include "tflite_kernels/core/depthwise_conv2d.h"

// Written for compilers to make vectors of: the loops over channels are all that takes time.
namespace edgeax {
namespace {

// Scratch: all weights decoded once, and the sums of one output position.
struct Int16DepthwisePlan {
  size_t weights_bytes;
  size_t some_bytes;  // int32 sums
  size_t sums_bytes;  // int64 sums
  size_t total_bytes;
};

inline Status PlanInt16DepthwiseConv2D(const Int16Args<DepthwiseConv2DArgs>& args,
                                       DepthwiseConv2DGeometry* geometry,
                                       Int16DepthwisePlan* plan) {
  const Status status = GeometryOf(args, geometry);
  if (status != Status::kOk) return status;
  const size_t channels = static_cast<size_t>(geometry->output_channels);
  plan->weights_bytes =
      AlignedBytes(channels * static_cast<size_t>(geometry->taps) * sizeof(int16_t));
  plan->some_bytes = AlignedBytes(channels * sizeof(int32_t));
  plan->sums_bytes = AlignedBytes(channels * sizeof(int64_t));
  plan->total_bytes = plan->weights_bytes + plan->some_bytes + plan->sums_bytes + kScratchAlignment;
  return Status::kOk;
}

inline Status Int16DepthwiseConv2DScratchBytesOn(const Int16Args<DepthwiseConv2DArgs>& args,
                                                 size_t* bytes) {
  DepthwiseConv2DGeometry geometry;
  Int16DepthwisePlan plan;
  const Status status = PlanInt16DepthwiseConv2D(args, &geometry, &plan);
  *bytes = status == Status::kOk ? plan.total_bytes : 0;
  return status;
}

// Taps whose products fit an int32 sum.
constexpr int32_t kInt16MostTaps = INT32_MAX / (1 << 22);

struct Int16Depthwise {
  Int16Depthwise(const DepthwiseConv2DArgs& args, const DepthwiseConv2DGeometry& geometry,
                 const Int16DepthwisePlan& plan, const Int16Tensors& tensors)
      : args(args), geometry(geometry), tensors(tensors) {
    uint8_t* part = AlignedStart(tensors.scratch.data);
    weights = reinterpret_cast<int16_t*>(part);
    part += plan.weights_bytes;
    some = reinterpret_cast<int32_t*>(part);
    part += plan.some_bytes;
    sums = reinterpret_cast<int64_t*>(part);
  }

  const DepthwiseConv2DArgs& args;
  const DepthwiseConv2DGeometry& geometry;
  const Int16Tensors& tensors;
  int16_t* weights;  // [taps][output channels]
  int32_t* some;     // [output channels], of at most kInt16MostTaps taps
  int64_t* sums;     // [output channels]

  void Decode() const {
    const int32_t bits = CodeBits(tensors.codebook.size);
    const int32_t row_bytes = PackedBytes(geometry.output_channels, bits);
    int16_t* to = weights;
    const uint8_t* row = tensors.weights.data;
    for (int32_t tap = 0; tap < geometry.taps; ++tap, row += row_bytes) {
      for (int32_t c = 0; c < geometry.output_channels; ++c) {
        *to++ = tensors.codebook.data[Unpack(row, c, bits)];
      }
    }
  }

  void AddTap(const int16_t* __restrict input, int32_t tap) const {
    const int32_t channels = geometry.output_channels, repeats = args.depth_multiplier;
    const int16_t* __restrict weight = weights + static_cast<size_t>(tap) * channels;
    int32_t* __restrict sum = some;
    if (repeats == 1) {
      for (int32_t c = 0; c < channels; ++c) sum[c] += int32_t{input[c]} * weight[c];
      return;
    }
    for (int32_t i = 0; i < args.input.channels; ++i) {
      for (int32_t j = 0; j < repeats; ++j) *sum++ += int32_t{input[i]} * *weight++;
    }
  }

  // Adds the int32 sums to those of 64 bits, and begins anew.
  void Flush() const {
    for (int32_t c = 0; c < geometry.output_channels; ++c) sums[c] += some[c];
    memset(some, 0, static_cast<size_t>(geometry.output_channels) * sizeof(int32_t));
  }

  void RunPosition(int32_t batch, int32_t out_y, int32_t out_x, int16_t* output) const {
    const Axis& height = geometry.window.height;
    const Axis& width = geometry.window.width;
    const int32_t channels = geometry.output_channels;
    for (int32_t c = 0; c < channels; ++c) sums[c] = tensors.bias.data[c];
    memset(some, 0, static_cast<size_t>(channels) * sizeof(int32_t));
    int32_t added = 0;
    for (int32_t ky = 0; ky < height.kernel; ++ky) {
      const int32_t y = AxisInput(height, out_y, ky);
      if (!AxisHas(height, y)) continue;
      for (int32_t kx = 0; kx < width.kernel; ++kx) {
        const int32_t x = AxisInput(width, out_x, kx);
        if (!AxisHas(width, x)) continue;
        const size_t pixel = (static_cast<size_t>(batch) * height.input + y) * width.input + x;
        AddTap(tensors.input.data + pixel * args.input.channels, ky * width.kernel + kx);
        if (++added % kInt16MostTaps == 0) Flush();
      }
    }
    Flush();
    for (int32_t c = 0; c < channels; ++c) {
      output[c] = OutputCode(sums[c], tensors.requantization.data[c], args.quantization);
    }
  }

  void Run() const {
    Decode();
    const int32_t height = geometry.window.height.output, width = geometry.window.width.output;
    const Range lines = RangeOf(args.input.batch * height, 1, tensors.share);
    int16_t* output =
        tensors.output.data + static_cast<size_t>(lines.begin) * width * geometry.output_channels;
    for (int32_t line = lines.begin; line < lines.end; ++line) {
      for (int32_t x = 0; x < width; ++x, output += geometry.output_channels) {
        RunPosition(line / height, line % height, x, output);
      }
    }
  }
};

inline Status Int16DepthwiseConv2DOn(const Int16Args<DepthwiseConv2DArgs>& args,
                                     const Int16Tensors& tensors) {
  DepthwiseConv2DGeometry geometry;
  Int16DepthwisePlan plan;
  Status status = PlanInt16DepthwiseConv2D(args, &geometry, &plan);
  if (status == Status::kOk) status = CheckDepthwiseConv2D(args, tensors, &geometry);
  if (status != Status::kOk) return status;
  if (tensors.scratch.size < plan.total_bytes) return Status::kBadScratch;
  Int16Depthwise(args.args, geometry, plan, tensors).Run();
  return Status::kOk;
}

}  // namespace
}  // namespace edgeax
