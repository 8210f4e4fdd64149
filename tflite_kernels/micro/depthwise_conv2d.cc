#include "tflite_kernels/micro/depthwise_conv2d.h"

#include "tflite_kernels/micro/depthwise_planes.h"
#include "tflite_kernels/micro/depthwise_sweep.h"
// The loops in assembler need registers that a compiler only has free when it optimizes.
#if defined(EDGEAX_MICRO_PORTABLE)
#include "tflite_kernels/micro/depthwise_portable.h"
#elif defined(__ARM_FEATURE_MVE) && (__ARM_FEATURE_MVE & 1) && defined(__OPTIMIZE__)
#include "tflite_kernels/micro/depthwise_columns_helium.h"
#define EDGEAX_MICRO_COLUMNS
#elif defined(__ARM_FEATURE_DSP) && defined(__OPTIMIZE__)
#include "tflite_kernels/micro/depthwise_dsp.h"
#else
#include "tflite_kernels/micro/depthwise_portable.h"
#endif

namespace edgeax {
namespace micro {
namespace {

// Rows [begin, end) of the input image that are in the planes.
struct Held {
  int32_t begin, end;
};

// Makes the planes hold the rows of `wanted`, of which they may have some.
template <typename Code>
void Refill(const DepthwiseConv2DArgs& args, int32_t input_begin, const Block<Code>& block,
            Held wanted, Held held) {
  // With one group only, all rows outside the image are what they were filled with at first.
  const bool keeps_padding = args.group_rows >= args.output_height;
  const int32_t pitch = args.plane_pitch;
  const int32_t plane_size = args.plane_rows * pitch;
  int32_t y = wanted.begin;
  if (held.end > wanted.begin) {
    const int32_t gone = (wanted.begin - held.begin) * pitch;
    for (int32_t plane = 0; plane < block.planes; ++plane) {
      Code* base = block.scratch + plane * plane_size;
      MoveDown(base, base + gone, (held.end - wanted.begin) * pitch);
    }
    y = held.end;
  }
  Code* to = block.scratch + (y - wanted.begin) * pitch + args.pad_left;
  const int32_t row_size = args.width * args.channels;
  const Code* from = block.input + (y - input_begin) * row_size + block.channel;
  for (; y < wanted.end; ++y) {
    if (y >= 0 && y < args.height) {
      TakeApart(from, args.width, args.channels, block.planes, plane_size, to);
    } else if (!keeps_padding) {
      for (int32_t plane = 0; plane < block.planes; ++plane) {
        Fill(to + plane * plane_size, args.width, static_cast<Code>(args.input_zero_point));
      }
    }
    from += row_size;
    to += pitch;
  }
}

// All output channels of a block in output rows [begin, end).
template <Rounding kRounding, typename Code>
void SweepBlock(const DepthwiseConv2DArgs& args, const Block<Code>& block, Code* output,
                int32_t rows, int32_t stride3x3) {
  const int32_t channels = args.channels * args.depth_multiplier;
  int32_t channel = block.channel * args.depth_multiplier;
  const int32_t end = channel + block.planes * args.depth_multiplier;
  const Code* plane = block.scratch;
  const int8_t* weights = block.weights;
  for (int32_t of_plane = 0; channel < end; ++channel, ++weights) {
    SweepRows<kRounding>(
        args,
        Sweep<Code>{plane, output + channel, rows, channels, weights, args.bias[channel],
                    FactorOf(args.factors, channel), args.plane_pitch, 1},
        stride3x3);
    if (++of_plane == args.depth_multiplier) {
      of_plane = 0;
      plane += args.plane_rows * args.plane_pitch;
    }
  }
}

template <Rounding kRounding, typename Code>
void RunBlock(const DepthwiseConv2DArgs& args, const Rows& rows, const Block<Code>& block) {
  const int32_t window = (args.kernel_height - 1) * args.dilation_height + 1;
  const int32_t row_size = args.output_width * args.channels * args.depth_multiplier;
  Held held = {0, INT32_MIN};
  const int32_t stride3x3 = Stride3x3Of(args);
#if defined(EDGEAX_MICRO_COLUMNS)
  if constexpr (sizeof(Code) == 1) {
    if (HasColumns(args, stride3x3)) {
      const auto run = stride3x3 == 1 ? RunColumns<kRounding, 1> : RunColumns<kRounding, 2>;
      run(args, rows, block);
      return;
    }
  }
#endif
  Code* output = block.output;
  for (int32_t begin = rows.begin; begin < rows.end; begin += args.group_rows) {
    const int32_t left = rows.end - begin;
    const int32_t count = left < args.group_rows ? left : args.group_rows;
    const int32_t first = begin * args.stride_height - args.pad_top;
    const Held wanted = {first, first + (count - 1) * args.stride_height + window};
    Refill(args, rows.input_begin, block, wanted, held);
    held = wanted;
    SweepBlock<kRounding>(args, block, output, count, stride3x3);
    output += count * row_size;
  }
}

template <Rounding kRounding, typename Code>
void RunBlock(const DepthwiseConv2DArgs& args, const Rows& rows, int32_t channel,
              const int8_t* weights, const Code* input, Code* output, void* scratch) {
  const int32_t left = args.channels - channel;
  const int32_t planes = left < kDepthwiseBlock ? left : kDepthwiseBlock;
  RunBlock<kRounding>(
      args, rows,
      Block<Code>{input, output, static_cast<Code*>(scratch), channel, planes, weights});
}

template <typename Code>
void FillPlanes(const DepthwiseConv2DArgs& args, Code* scratch) {
  Fill(scratch, kDepthwiseBlock * args.plane_rows * args.plane_pitch + kDepthwiseSlack,
       static_cast<Code>(args.input_zero_point));
}

template <Rounding kRounding, typename Code>
void Run(const DepthwiseConv2DArgs& args, const Rows& rows, const Code* input, Code* output,
         Code* scratch) {
  FillPlanes(args, scratch);
  const int32_t output_channels = args.channels * args.depth_multiplier;
  for (int32_t n = 0; n < args.batch; ++n) {
    for (int32_t channel = 0; channel < args.channels; channel += kDepthwiseBlock) {
      RunBlock<kRounding>(args, rows, channel, args.weights + channel * args.depth_multiplier,
                          input, output, scratch);
    }
    input += args.height * args.width * args.channels;
    output += args.output_height * args.output_width * output_channels;
  }
}

}  // namespace

template <Rounding kRounding>
void DepthwiseConv2D(const DepthwiseConv2DArgs& args, const Rows& rows, const int8_t* input,
                     int8_t* output, void* scratch) {
  Run<kRounding>(args, rows, input, output, static_cast<int8_t*>(scratch));
}

template void DepthwiseConv2D<Rounding::kSingle>(const DepthwiseConv2DArgs&, const Rows&,
                                                 const int8_t*, int8_t*, void*);
template void DepthwiseConv2D<Rounding::kDouble>(const DepthwiseConv2DArgs&, const Rows&,
                                                 const int8_t*, int8_t*, void*);

void DepthwiseConv2D(const DepthwiseConv2DArgs& args, const Rows& rows, const int16_t* input,
                     int16_t* output, void* scratch) {
  Run<Rounding::kDouble>(args, rows, input, output, static_cast<int16_t*>(scratch));
}

void FillDepthwise(const DepthwiseConv2DArgs& args, int8_t* scratch) { FillPlanes(args, scratch); }

void FillDepthwise(const DepthwiseConv2DArgs& args, int16_t* scratch) { FillPlanes(args, scratch); }

template <Rounding kRounding>
void DepthwiseBlock(const DepthwiseConv2DArgs& args, const Rows& rows, int32_t channel,
                    const int8_t* weights, const int8_t* input, int8_t* output, void* scratch) {
  RunBlock<kRounding>(args, rows, channel, weights, input, output, scratch);
}

template void DepthwiseBlock<Rounding::kSingle>(const DepthwiseConv2DArgs&, const Rows&, int32_t,
                                                const int8_t*, const int8_t*, int8_t*, void*);
template void DepthwiseBlock<Rounding::kDouble>(const DepthwiseConv2DArgs&, const Rows&, int32_t,
                                                const int8_t*, const int8_t*, int8_t*, void*);

template <Rounding kRounding>
void DepthwiseBlock(const DepthwiseConv2DArgs& args, const Rows& rows, int32_t channel,
                    const int8_t* weights, const int16_t* input, int16_t* output, void* scratch) {
  RunBlock<kRounding>(args, rows, channel, weights, input, output, scratch);
}

template void DepthwiseBlock<Rounding::kDouble>(const DepthwiseConv2DArgs&, const Rows&, int32_t,
                                                const int8_t*, const int16_t*, int16_t*, void*);

}  // namespace micro
}  // namespace edgeax
