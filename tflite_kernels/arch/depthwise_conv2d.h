#pragma once  // arch/depthwise_conv2d.h: depthwise convolution, channels innermost.

#include <string.h>

#include "tflite_kernels/arch/scratch.h"
#include "tflite_kernels/arch/steps.h"
#include "tflite_kernels/core/depthwise_conv2d.h"

namespace edgeax {

// Channels that are computed together.
constexpr int32_t kDepthwiseLanes = 16;

// Scratch: all weights decoded once, what follows the sums of each block of channels, and for one
// output position the pointers to its inputs, or copies of them where they cannot be read in place.
struct DepthwisePlan {
  int32_t padded_channels;
  int32_t padded_taps;  // even: taps go in pairs
  size_t weights_bytes;
  size_t finish_bytes;
  size_t pointers_bytes;
  size_t steps_bytes;
  size_t padding_bytes;  // a line of zero points
  size_t copies_bytes;
  size_t total_bytes;
};

template <typename Simd>
Status PlanDepthwiseConv2D(const DepthwiseConv2DArgs& args, DepthwiseConv2DGeometry* geometry,
                           DepthwisePlan* plan) {
  const Status status = GeometryOf(args, geometry);
  if (status != Status::kOk) return status;
  const int32_t blocks = (geometry->output_channels - 1) / kDepthwiseLanes + 1;
  plan->padded_channels = blocks * kDepthwiseLanes;
  plan->padded_taps = (geometry->taps + 1) / 2 * 2;
  const size_t channels = static_cast<size_t>(plan->padded_channels);
  const size_t taps = static_cast<size_t>(plan->padded_taps);
  plan->weights_bytes = AlignedBytes(channels * taps * sizeof(typename Simd::DepthwiseWeight));
  plan->finish_bytes =
      AlignedBytes(static_cast<size_t>(blocks) * sizeof(typename Simd::DepthwiseFinish));
  plan->pointers_bytes = AlignedBytes(taps * sizeof(const int8_t*));
  plan->steps_bytes = AlignedBytes(taps * sizeof(ptrdiff_t));
  plan->padding_bytes = AlignedBytes(channels);
  plan->copies_bytes = AlignedBytes(channels * taps);
  plan->total_bytes = plan->weights_bytes + plan->finish_bytes + plan->pointers_bytes +
                      plan->steps_bytes + plan->padding_bytes + plan->copies_bytes +
                      kScratchAlignment;
  return Status::kOk;
}

template <typename Simd>
Status DepthwiseConv2DScratchBytesOn(const DepthwiseConv2DArgs& args, size_t* bytes) {
  DepthwiseConv2DGeometry geometry;
  DepthwisePlan plan;
  const Status status = PlanDepthwiseConv2D<Simd>(args, &geometry, &plan);
  *bytes = status == Status::kOk ? plan.total_bytes : 0;
  return status;
}

template <typename Simd>
struct Depthwise {
  using Weight = typename Simd::DepthwiseWeight;
  using Finish = typename Simd::DepthwiseFinish;

  Depthwise(const DepthwiseConv2DArgs& args, const DepthwiseConv2DGeometry& geometry,
            const DepthwisePlan& plan, const Tensors& tensors)
      : args(args),
        geometry(geometry),
        plan(plan),
        tensors(tensors),
        bits(CodeBits(tensors.codebook.size)),
        row_bytes(PackedBytes(geometry.output_channels, bits)),
        tables(TablesOf(tensors.codebook)) {
    uint8_t* part = AlignedStart(tensors.scratch.data);
    weights = reinterpret_cast<Weight*>(part);
    part += plan.weights_bytes;
    finish = reinterpret_cast<Finish*>(part);
    part += plan.finish_bytes;
    pointers = reinterpret_cast<const int8_t**>(part);
    part += plan.pointers_bytes;
    steps = reinterpret_cast<ptrdiff_t*>(part);
    part += plan.steps_bytes;
    padding = reinterpret_cast<int8_t*>(part);
    part += plan.padding_bytes;
    copies = reinterpret_cast<int8_t*>(part);
  }

  const DepthwiseConv2DArgs& args;
  const DepthwiseConv2DGeometry& geometry;
  const DepthwisePlan& plan;
  const Tensors& tensors;
  const int32_t bits;  // of a code
  const int32_t row_bytes;
  const NibbleTables tables;
  Weight* weights;          // [blocks][padded_taps][lanes], within a block as Simd likes it
  Finish* finish;           // [blocks]
  const int8_t** pointers;  // [padded_taps]
  ptrdiff_t* steps;         // [padded_taps], from a position to the next one
  int8_t* padding;          // [padded_channels]
  int8_t* copies;           // [padded_taps][padded_channels]

  // The 16 codes of one tap and block in 8 bytes, zero beyond the last one.
  void LoadCodes(int32_t tap, int32_t block, uint8_t* codes) const {
    const int32_t block_bytes = kDepthwiseLanes / 8 * bits;
    const int32_t first = block * block_bytes;
    const int32_t left_over = row_bytes - first;
    const size_t count = static_cast<size_t>(left_over < block_bytes ? left_over : block_bytes);
    memset(codes, 0, 8);
    if (tap < geometry.taps) {
      const size_t row = static_cast<size_t>(tap) * row_bytes;
      memcpy(codes, tensors.weights.data + row + first, count);
    }
  }

  template <int32_t kBits>
  void Decode() const {
    for (int32_t first = 0, block = 0; first < plan.padded_channels;
         first += kDepthwiseLanes, ++block) {
      int32_t sums[kDepthwiseLanes] = {};
      for (int32_t tap = 0; tap < plan.padded_taps; tap += 2) {
        uint8_t codes[2][8];
        LoadCodes(tap, block, codes[0]);
        LoadCodes(tap + 1, block, codes[1]);
        const size_t at = (static_cast<size_t>(block) * plan.padded_taps + tap) * kDepthwiseLanes;
        Simd::template DecodeDepthwise<kBits>(codes[0], codes[1], tables, weights + at, sums);
      }
      // Positions outside the image read the zero point, and so does the tap that fills the last
      // pair, whatever its weights are: the correction covers them all.
      for (int32_t& sum : sums) sum = ZeroPointOffset(sum, args.quantization);
      const int32_t left_over = geometry.output_channels - first;
      const int32_t count = left_over < kDepthwiseLanes ? left_over : kDepthwiseLanes;
      finish[block] = Finish(tensors.bias.data + first, tensors.requantization.data + first, sums,
                             count, args.quantization);
    }
  }

  // Points to the inputs of one output position. They are read in whole blocks: where that would
  // end beyond the input, and where an input channel has several outputs, copies are made.
  void Gather(int32_t batch, int32_t out_y, int32_t out_x) const {
    const Axis& height = geometry.window.height;
    const Axis& width = geometry.window.width;
    const size_t line_size = static_cast<size_t>(width.input) * args.input.channels;
    int32_t tap = 0;
    for (int32_t ky = 0; ky < height.kernel; ++ky) {
      const int32_t y = AxisInput(height, out_y, ky);
      const bool line_inside = AxisHas(height, y);
      const int8_t* line = tensors.input.data;
      if (line_inside) line += (static_cast<size_t>(batch) * height.input + y) * line_size;
      for (int32_t kx = 0; kx < width.kernel; ++kx, ++tap) {
        const int32_t x = AxisInput(width, out_x, kx);
        if (line_inside && AxisHas(width, x)) {
          const int8_t* from = line + static_cast<size_t>(x) * args.input.channels;
          pointers[tap] = CanReadInPlace(from) ? from : Copy(from, tap);
          steps[tap] = static_cast<ptrdiff_t>(width.stride) * args.input.channels;
        } else {
          pointers[tap] = padding;
          steps[tap] = 0;
        }
      }
    }
    if (tap < plan.padded_taps) {  // what fills the last pair
      pointers[tap] = padding;
      steps[tap] = 0;
    }
  }

  bool CanReadInPlace(const int8_t* from) const {
    const int8_t* input_end = tensors.input.data + tensors.input.size;
    return args.depth_multiplier == 1 && input_end - from >= plan.padded_channels;
  }

  // Output columns whose windows lie inside every line they touch, and can be read in place there:
  // from one of them to the next all pointers move by the same step.
  bool IsInner(int32_t batch, int32_t out_y, int32_t out_x) const {
    const Axis& height = geometry.window.height;
    const Axis& width = geometry.window.width;
    const int32_t first = AxisInput(width, out_x, 0);
    const int32_t last = AxisInput(width, out_x, width.kernel - 1);
    if (first < 0 || last >= width.input) return false;
    int32_t y = AxisInput(height, out_y, height.kernel - 1);
    if (y >= height.input) y = height.input - 1;
    const size_t pixel = (static_cast<size_t>(batch) * height.input + y) * width.input + last;
    return CanReadInPlace(tensors.input.data + pixel * args.input.channels);
  }

  void MovePointers() const {
    for (int32_t t = 0; t < plan.padded_taps; ++t) pointers[t] += steps[t];
  }

  const int8_t* Copy(const int8_t* from, int32_t tap) const {
    int8_t* to = copies + static_cast<size_t>(tap) * plan.padded_channels;
    if (args.depth_multiplier == 1) {
      memcpy(to, from, static_cast<size_t>(args.input.channels));
      return to;
    }
    int8_t* next = to;
    for (int32_t i = 0; i < args.input.channels; ++i) {
      for (int32_t j = 0; j < args.depth_multiplier; ++j) *next++ = from[i];
    }
    return to;
  }

  void Run() const {
    memset(padding, args.quantization.input_zero_point, plan.padding_bytes);
    memset(copies, 0, plan.copies_bytes);
    if (bits == 1) Decode<1>();
    if (bits == 2) Decode<2>();
    if (bits == 4) Decode<4>();
    const int32_t height = geometry.window.height.output;
    const Range lines = RangeOf(args.input.batch * height, 1, tensors.share);
    const size_t line_size =
        static_cast<size_t>(geometry.window.width.output) * geometry.output_channels;
    for (int32_t line = lines.begin; line < lines.end; ++line) {
      RunLine(line / height, line % height, tensors.output.data + line * line_size);
    }
  }

  void RunLine(int32_t n, int32_t y, int8_t* output) const {
    bool was_inner = false;
    for (int32_t x = 0; x < geometry.window.width.output; ++x) {
      const bool is_inner = IsInner(n, y, x);
      if (is_inner && was_inner) {
        MovePointers();
      } else {
        Gather(n, y, x);
      }
      was_inner = is_inner;
      RunPosition(output);
      output += geometry.output_channels;
    }
  }

  void RunPosition(int8_t* output) const {
    for (int32_t first = 0, block = 0; first < geometry.output_channels;
         first += kDepthwiseLanes, ++block) {
      Simd::DepthwiseBlock(pointers, plan.padded_taps, first,
                           weights + static_cast<size_t>(first) * plan.padded_taps,
                           tables.largest == kLargestWeight, finish[block], output + first);
    }
  }
};

template <typename Simd>
Status DepthwiseConv2DOn(const DepthwiseConv2DArgs& args, const Tensors& tensors) {
  DepthwiseConv2DGeometry geometry;
  DepthwisePlan plan;
  Status status = PlanDepthwiseConv2D<Simd>(args, &geometry, &plan);
  if (status == Status::kOk) status = CheckDepthwiseConv2D(args, tensors, &geometry);
  if (status != Status::kOk) return status;
  if (tensors.scratch.size < plan.total_bytes) return Status::kBadScratch;
  Depthwise<Simd>(args, geometry, plan, tensors).Run();
  return Status::kOk;
}

}  // namespace edgeax
