#pragma once  // arch/conv2d.h: convolution as products of blocks of gathered windows.

#include "tflite_kernels/arch/matmul.h"
#include "tflite_kernels/arch/product_shares.h"
#include "tflite_kernels/core/conv2d.h"

namespace edgeax {

// Checks the arguments and plans the product of one group.
template <typename Simd>
Status PlanConv2D(const Conv2DArgs& args, Conv2DGeometry* geometry, MatMulPlan* plan) {
  const Status status = GeometryOf(args, geometry);
  if (status != Status::kOk) return status;
  const int64_t rows = CheckedProduct(args.input.batch, geometry->window.height.output,
                                      geometry->window.width.output);
  if (rows < 0) return Status::kBadShape;
  *plan = PlanMatMul<Simd>(rows, geometry->depth);
  return Status::kOk;
}

template <typename Simd>
Status Conv2DScratchBytesOn(const Conv2DArgs& args, size_t* bytes) {
  Conv2DGeometry geometry;
  MatMulPlan plan;
  const Status status = PlanConv2D<Simd>(args, &geometry, &plan);
  *bytes = status == Status::kOk ? plan.total_bytes : 0;
  return status;
}

struct OutputPosition {
  int32_t batch, y, x;
};

static inline OutputPosition PositionOf(const WindowGeometry& window, int32_t pixel) {
  const int32_t width = window.width.output;
  const int32_t height = window.height.output;
  return {pixel / width / height, pixel / width % height, pixel % width};
}

static inline void Advance(const WindowGeometry& window, OutputPosition* at) {
  if (++at->x < window.width.output) return;
  at->x = 0;
  if (++at->y < window.height.output) return;
  at->y = 0;
  ++at->batch;
}

// Gathers the inputs of output positions into rows of a product.
template <typename Simd>
struct WindowGatherer {
  using Left = typename Simd::Left;

  const Conv2DArgs& args;
  const Conv2DGeometry& geometry;
  const int8_t* input;
  const int8_t* input_end;
  int32_t first_channel;

  // `taps` positions of the window beside each other, starting at column x of a line: one run of
  // memory, but for those that lie beside the line.
  Left* GatherRun(const int8_t* line, int32_t x, int32_t taps, Left* to) const {
    const int32_t channels = geometry.group_inputs;
    const int32_t width = args.input.width;
    if (x >= 0 && x + taps <= width) {  // most of them
      return Simd::PackLeft(line + static_cast<ptrdiff_t>(x) * args.input.channels, input_end,
                            taps * channels, args.quantization, to);
    }
    const int32_t before = x >= 0 ? 0 : (-x < taps ? -x : taps);
    const int32_t fit = x + taps <= width ? taps : width - x;
    const int32_t inside = fit > before ? fit - before : 0;
    to = Simd::FillLeft(to, before * channels, args.quantization);
    to = Simd::PackLeft(line + static_cast<ptrdiff_t>(x + before) * args.input.channels, input_end,
                        inside * channels, args.quantization, to);
    return Simd::FillLeft(to, (taps - before - inside) * channels, args.quantization);
  }

  void Gather(const OutputPosition& at, Left* to) const {
    const Axis& height = geometry.window.height;
    const Axis& width = geometry.window.width;
    // Taps of a line are one run of memory when nothing lies between them.
    const int32_t run = width.dilation == 1 && args.groups == 1 ? width.kernel : 1;
    for (int32_t ky = 0; ky < height.kernel; ++ky) {
      const int32_t y = AxisInput(height, at.y, ky);
      if (!AxisHas(height, y)) {
        to = Simd::FillLeft(to, width.kernel * geometry.group_inputs, args.quantization);
        continue;
      }
      const size_t first_pixel = (static_cast<size_t>(at.batch) * height.input + y) * width.input;
      const int8_t* line = input + first_pixel * args.input.channels + first_channel;
      for (int32_t kx = 0; kx < width.kernel; kx += run) {
        to = GatherRun(line, AxisInput(width, at.x, kx), run, to);
      }
    }
  }
};

// Gathers the windows of a share into rows of `product`, block by block and group by group, and
// calls `run(channel, first, rows)` after each: with the group's first output channel, and the
// block's first pixel and number of pixels.
template <typename Simd, typename Run>
void ForEachBlock(const Conv2DArgs& args, const Conv2DGeometry& geometry,
                  const MatMul<Simd>& product, Span<const int8_t> input, Share share,
                  const Run& run) {
  const int32_t pixels =
      args.input.batch * geometry.window.height.output * geometry.window.width.output;
  const Range range = RangeOf(pixels, Simd::kRows, share);
  const int32_t block = product.plan.block_rows;
  for (int32_t first = range.begin; first < range.end; first += block) {
    const int32_t rows = range.end - first < block ? range.end - first : block;
    for (int32_t group = 0; group < args.groups; ++group) {
      const WindowGatherer<Simd> gatherer = {args, geometry, input.data, input.data + input.size,
                                             group * geometry.group_inputs};
      OutputPosition at = PositionOf(geometry.window, first);
      for (int32_t r = 0; r < rows; ++r) {
        gatherer.Gather(at, product.LeftRow(r));
        product.FinishLeftRow(r, geometry.depth);
        Advance(geometry.window, &at);
      }
      run(group * geometry.group_outputs, first, rows);
    }
  }
}

template <typename Simd>
Status Conv2DOn(const Conv2DArgs& args, const Tensors& tensors) {
  Conv2DGeometry geometry;
  MatMulPlan plan;
  Status status = PlanConv2D<Simd>(args, &geometry, &plan);
  if (status == Status::kOk) status = CheckConv2D(args, tensors, &geometry);
  if (status != Status::kOk) return status;
  if (tensors.scratch.size < plan.total_bytes) return Status::kBadScratch;
  const MatMul<Simd> product(plan, args.quantization, tensors.scratch.data);
  const NibbleTables tables = TablesOf(tensors.codebook);
  const int32_t bits = CodeBits(tensors.codebook.size);
  const int32_t row_bytes = PackedBytes(geometry.depth, bits);
  const size_t stride = static_cast<size_t>(args.output_channels);
  const int32_t pixels =
      args.input.batch * geometry.window.height.output * geometry.window.width.output;
  const ProductShares shares =
      CutProduct(pixels, Simd::kRows, geometry.group_outputs, Simd::kColumns, tensors.share);
  const Range range = RangeOf(geometry.group_outputs, Simd::kColumns, shares.columns);
  if (range.begin == range.end) return Status::kOk;
  const auto run = [&](int32_t group_channel, int32_t first, int32_t rows) {
    const int32_t channel = group_channel + range.begin;
    const CodebookColumns columns = {
        {range.end - range.begin, tensors.bias.data + channel,
         tensors.requantization.data + channel, tables.largest},
        tensors.weights.data + static_cast<size_t>(channel) * row_bytes,
        tensors.weights.data + tensors.weights.size,
        bits,
        row_bytes,
        geometry.depth,
        &tables};
    product.Run(columns, rows, tensors.output.data + static_cast<size_t>(first) * stride + channel,
                stride);
  };
  ForEachBlock(args, geometry, product, tensors.input, shares.rows, run);
  return Status::kOk;
}

}  // namespace edgeax
