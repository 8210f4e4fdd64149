#pragma once  // arch/binary_conv2d.h: binary convolution as products of blocks of gathered windows.

#include "tflite_kernels/arch/binary_matmul.h"
#include "tflite_kernels/arch/product_shares.h"
#include "tflite_kernels/core/binary_conv2d.h"

namespace edgeax {

// What a convolution holds in scratch memory beside its product.
struct BinaryConv2DPlan {
  BinaryPlan product;
  size_t pixel_bytes;  // all groups of one pixel, in words
  size_t image_bytes;
  size_t borders_bytes;
  size_t tap_sums_bytes;
  size_t total_bytes;
};

// Taps of a window that lie inside the image: from first to before end along each axis.
struct WindowInside {
  int32_t first_y, end_y, first_x, end_x;
};

// A row of a block whose window does not lie inside the image as a whole.
struct BorderRow {
  int32_t row;
  WindowInside inside;
};

static inline bool SameInside(const WindowInside& a, const WindowInside& b) {
  return a.first_y == b.first_y && a.end_y == b.end_y && a.first_x == b.first_x &&
         a.end_x == b.end_x;
}

// Checks the arguments and plans the product of one group.
template <typename Simd>
Status PlanBinaryConv2D(const BinaryConv2DArgs& args, BinaryConv2DGeometry* geometry,
                        BinaryConv2DPlan* plan) {
  const Status status = GeometryOf(args, geometry);
  if (status != Status::kOk) return status;
  const WindowGeometry& window = geometry->conv2d.window;
  const Shape4& input = args.conv2d.input;
  const int64_t rows = CheckedProduct(input.batch, window.height.output, window.width.output);
  const int64_t pixels = CheckedProduct(input.batch, input.height, input.width);
  if (rows < 0 || pixels < 0) return Status::kBadShape;
  const int32_t taps = window.height.kernel * window.width.kernel;
  const int32_t tap_bits = geometry->conv2d.group_inputs;
  plan->product = PlanBinary<Simd>(rows, taps, tap_bits);
  plan->pixel_bytes =
      static_cast<size_t>(args.conv2d.groups) * WordsOf(tap_bits) * Simd::kLeftWordBytes;
  if (CheckedProduct(pixels, plan->pixel_bytes) < 0) return Status::kBadShape;
  plan->image_bytes = AlignedBytes(static_cast<size_t>(pixels) * plan->pixel_bytes);
  plan->borders_bytes =
      AlignedBytes(static_cast<size_t>(plan->product.block_rows) * sizeof(BorderRow));
  plan->tap_sums_bytes = AlignedBytes(static_cast<size_t>(taps) * Simd::kColumns * sizeof(int32_t));
  plan->total_bytes =
      plan->product.total_bytes + plan->image_bytes + plan->borders_bytes + plan->tap_sums_bytes;
  return Status::kOk;
}

template <typename Simd>
Status BinaryConv2DScratchBytesOn(const BinaryConv2DArgs& args, size_t* bytes) {
  BinaryConv2DGeometry geometry;
  BinaryConv2DPlan plan;
  const Status status = PlanBinaryConv2D<Simd>(args, &geometry, &plan);
  *bytes = status == Status::kOk ? plan.total_bytes : 0;
  return status;
}

// The rows of a block that read beside the image.
struct BorderRows {
  BorderRow* rows;
  int32_t count;
};

template <typename Simd, typename Sum>
void AddColumns(const int32_t* __restrict some, Sum* __restrict sums) {
  for (int32_t c = 0; c < Simd::kColumns; ++c) sums[c] += some[c];
}

// Makes the taps outside the image count as 0. They hold bits 0, that is +1, so they add to a sum
// what the column's weights there sum up to.
template <typename Simd>
struct PaddingCorrection {
  const BinaryColumns& columns;
  const WindowGeometry& window;
  BorderRows borders;  // none where outside counts as +1
  int32_t* tap_sums;   // [taps][columns of a tile]
  int32_t next = 0;
  // Sums over the taps outside, of the last window that is cut off at neither, one, the other or
  // both ends of a line.
  WindowInside last[4] = {};
  int32_t last_sums[4][Simd::kColumns] = {};

  void Start(const uint8_t* right) {
    if (borders.count == 0) return;
    const int32_t words = WordsOf(columns.tap_bits);
    int32_t* sums = tap_sums;
    for (int32_t t = 0; t < columns.taps; ++t, sums += Simd::kColumns) {
      Simd::CountColumns(right, words, sums);
      for (int32_t c = 0; c < Simd::kColumns; ++c) sums[c] = columns.tap_bits - sums[c];
      right += static_cast<size_t>(words) * Simd::kRightWordBytes * Simd::kColumns;
    }
    next = 0;
    for (WindowInside& inside : last) inside = {-1, -1, -1, -1};
  }

  void Add(int32_t first, int32_t rows, typename Simd::Difference* differences) {
    for (; next < borders.count && borders.rows[next].row < first + rows; ++next) {
      const BorderRow& border = borders.rows[next];
      const int32_t* sums = SumsOutside(border.inside);
      AddColumns<Simd>(sums, differences + (border.row - first) * Simd::kColumns);
    }
  }

  const int32_t* SumsOutside(const WindowInside& inside) {
    const int32_t kind =
        (inside.first_x > 0 ? 1 : 0) + (inside.end_x < window.width.kernel ? 2 : 0);
    int32_t* outside = last_sums[kind];
    if (SameInside(inside, last[kind])) return outside;
    last[kind] = inside;
    memset(outside, 0, sizeof(last_sums[kind]));
    const int32_t* sums = tap_sums;
    for (int32_t y = 0; y < window.height.kernel; ++y) {
      const bool is_line = y >= inside.first_y && y < inside.end_y;
      for (int32_t x = 0; x < window.width.kernel; ++x, sums += Simd::kColumns) {
        if (is_line && x >= inside.first_x && x < inside.end_x) continue;
        AddColumns<Simd>(sums, outside);
      }
    }
    return outside;
  }
};

// Gathers the words of output positions into rows of a product.
template <typename Simd>
struct BinaryGatherer {
  BinaryGatherer(const WindowGeometry& window, const uint8_t* image, size_t pixel_bytes,
                 size_t tap_bytes)
      : window(window),
        image(image),
        pixel_bytes(pixel_bytes),
        tap_bytes(tap_bytes),
        is_run(window.width.dilation == 1 && pixel_bytes == tap_bytes) {}

  const WindowGeometry& window;
  const uint8_t* image;  // of the first pixel, the first word of the group
  size_t pixel_bytes;
  size_t tap_bytes;
  bool is_run;  // whether taps beside each other are one run of memory

  const uint8_t* PixelAt(int32_t batch, int32_t y, int32_t x) const {
    const size_t line = static_cast<size_t>(batch) * window.height.input + y;
    return image + (line * window.width.input + x) * pixel_bytes;
  }

  // `taps` positions of the window beside each other.
  void CopyTaps(const uint8_t* from, int32_t taps, uint8_t* to) const {
    if (is_run) return Simd::CopyWords(from, static_cast<size_t>(taps) * tap_bytes, to);
    for (int32_t t = 0; t < taps; ++t, to += tap_bytes) {
      Simd::CopyWords(from, tap_bytes, to);
      from += static_cast<size_t>(window.width.dilation) * pixel_bytes;
    }
  }

  // Windows of `count` outputs beside each other that lie inside the image, the first tap of the
  // first one at the pixel at `from`, to rows of `row_bytes` bytes.
  void GatherWhole(const uint8_t* from, int32_t count, uint8_t* to, size_t row_bytes) const {
    const size_t line_bytes =
        static_cast<size_t>(window.height.dilation) * window.width.input * pixel_bytes;
    const size_t taps_bytes = static_cast<size_t>(window.width.kernel) * tap_bytes;
    const size_t step = static_cast<size_t>(window.width.stride) * pixel_bytes;
    if constexpr (Simd::kFolds) {
      const Runs runs = {window.height.kernel, static_cast<int32_t>(taps_bytes / kWordBytes),
                         line_bytes};
      if (is_run) return Simd::FoldWindows(from, count, step, runs, to, row_bytes);
    }
    for (int32_t i = 0; i < count; ++i, from += step, to += row_bytes) {
      const uint8_t* line = from;
      uint8_t* line_to = to;
      for (int32_t ky = 0; ky < window.height.kernel; ++ky) {
        CopyTaps(line, window.width.kernel, line_to);
        line += line_bytes;
        line_to += taps_bytes;
      }
      if constexpr (Simd::kFolds) {
        Simd::FoldRow(to, window.height.kernel * static_cast<int32_t>(taps_bytes / kWordBytes));
      }
    }
  }

  void GatherInside(int32_t batch, int32_t y, int32_t x, const WindowInside& inside,
                    uint8_t* to) const {
    const int32_t taps = inside.end_x - inside.first_x;
    const size_t line_bytes = static_cast<size_t>(window.width.kernel) * tap_bytes;
    memset(to, 0, static_cast<size_t>(window.height.kernel) * line_bytes);
    if (taps == 0) return;
    to += static_cast<size_t>(inside.first_x) * tap_bytes;
    for (int32_t ky = inside.first_y; ky < inside.end_y; ++ky) {
      const uint8_t* from = PixelAt(batch, AxisInput(window.height, y, ky),
                                    AxisInput(window.width, x, inside.first_x));
      CopyTaps(from, taps, to + static_cast<size_t>(ky) * line_bytes);
    }
  }
};

// The taps of an axis that are inside at one output position.
static inline void InsideOf(const Axis& axis, int32_t output, int32_t* first, int32_t* end) {
  *first = 0;
  while (*first < axis.kernel && AxisInput(axis, output, *first) < 0) ++*first;
  *end = axis.kernel;
  while (*end > *first && AxisInput(axis, output, *end - 1) >= axis.input) --*end;
}

static inline bool IsWhole(const Axis& axis, int32_t output) {
  return AxisInput(axis, output, 0) >= 0 && AxisInput(axis, output, axis.kernel - 1) < axis.input;
}

// Writes the words of all pixels: [pixels][groups][words of a tap].
template <typename Simd>
void PackImage(const BinaryConv2DArgs& args, const BinaryConv2DGeometry& geometry,
               Span<const int8_t> input, uint8_t* image) {
  const Conv2DArgs& conv2d = args.conv2d;
  const int32_t group_inputs = geometry.conv2d.group_inputs;
  const int32_t pixels = conv2d.input.batch * conv2d.input.height * conv2d.input.width;
  const int32_t pixel_bytes = BinaryBytes(args.form.input_packed, conv2d.input.channels);
  const int8_t* pixel = input.data;
  if (args.form.input_packed == 0 && group_inputs % kWordBits == 0) {
    PackCodes<Simd>(pixel, pixels * conv2d.input.channels, conv2d.quantization.input_zero_point,
                    image);
    return;
  }
  for (int32_t p = 0; p < pixels; ++p, pixel += pixel_bytes) {
    for (int32_t group = 0; group < conv2d.groups; ++group) {
      image = PackNumbers<Simd>(pixel, group * group_inputs, group_inputs, input.data + input.size,
                                args.form, conv2d.quantization, image);
    }
  }
}

// The rows `first` to `first + rows` of the product of one group.
template <typename Simd>
void GatherBlock(const BinaryGatherer<Simd>& gatherer, const BinaryMatMul<Simd>& product,
                 int32_t first, int32_t rows, BorderRows* borders) {
  const Axis& height = gatherer.window.height;
  const Axis& width = gatherer.window.width;
  int32_t x = first % width.output;
  int32_t y = first / width.output % height.output;
  int32_t batch = first / width.output / height.output;
  borders->count = 0;
  for (int32_t r = 0; r < rows;) {
    if (IsWhole(height, y) && IsWhole(width, x)) {
      int32_t count = 1;
      while (r + count < rows && x + count < width.output && IsWhole(width, x + count)) ++count;
      gatherer.GatherWhole(gatherer.PixelAt(batch, AxisInput(height, y, 0), AxisInput(width, x, 0)),
                           count, product.LeftRow(r), product.plan.row_bytes);
      r += count;
      x += count;
    } else {
      BorderRow* border = borders->rows + borders->count++;
      border->row = r;
      InsideOf(height, y, &border->inside.first_y, &border->inside.end_y);
      InsideOf(width, x, &border->inside.first_x, &border->inside.end_x);
      gatherer.GatherInside(batch, y, x, border->inside, product.LeftRow(r));
      if constexpr (Simd::kFolds) Simd::FoldRow(product.LeftRow(r), product.plan.words);
      ++r;
      ++x;
    }
    if (x < width.output) continue;
    x = 0;
    if (++y < height.output) continue;
    y = 0;
    ++batch;
  }
}

template <typename Simd>
Status BinaryConv2DOn(const BinaryConv2DArgs& args, const BinaryTensors& tensors) {
  BinaryConv2DGeometry geometry;
  BinaryConv2DPlan plan;
  Status status = PlanBinaryConv2D<Simd>(args, &geometry, &plan);
  if (status == Status::kOk) status = CheckBinaryConv2D(args, tensors, &geometry);
  if (status != Status::kOk) return status;
  if (tensors.scratch.size < plan.total_bytes) return Status::kBadScratch;
  const BinaryMatMul<Simd> product(plan.product, tensors.scratch.data);
  uint8_t* image = product.right + plan.product.right_bytes;
  auto* border_rows = reinterpret_cast<BorderRow*>(image + plan.image_bytes);
  auto* tap_sums = reinterpret_cast<int32_t*>(image + plan.image_bytes + plan.borders_bytes);
  const Conv2DArgs& conv2d = args.conv2d;
  const WindowGeometry& window = geometry.conv2d.window;
  const int32_t pixels = conv2d.input.batch * window.height.output * window.width.output;
  const int32_t group_outputs = geometry.conv2d.group_outputs;
  // With more groups, shares of bits might begin within a byte.
  const ProductShares shares = conv2d.groups > 1 ? ProductShares{tensors.share, {0, 1}}
                                                 : CutProduct(pixels, Simd::kRows, group_outputs,
                                                              Simd::kColumns, tensors.share);
  static_assert(Simd::kColumns % 8 == 0, "shares of bits begin on a byte");
  const Range range = RangeOf(pixels, Simd::kRows, shares.rows);
  const Range channels = RangeOf(group_outputs, Simd::kColumns, shares.columns);
  if (channels.begin == channels.end) return Status::kOk;
  PackImage<Simd>(args, geometry, tensors.input, image);
  const size_t tap_bytes =
      static_cast<size_t>(WordsOf(geometry.conv2d.group_inputs)) * Simd::kLeftWordBytes;
  const size_t output_bytes =
      static_cast<size_t>(BinaryBytes(args.form.output_packed, conv2d.output_channels));
  for (int32_t first = range.begin; first < range.end; first += plan.product.block_rows) {
    const int32_t left_over = range.end - first;
    const int32_t rows = left_over < plan.product.block_rows ? left_over : plan.product.block_rows;
    int8_t* output = tensors.output.data + static_cast<size_t>(first) * output_bytes;
    for (int32_t group = 0; group < conv2d.groups; ++group) {
      const BinaryGatherer<Simd> gatherer(window, image + static_cast<size_t>(group) * tap_bytes,
                                          plan.pixel_bytes, tap_bytes);
      BorderRows borders = {border_rows, 0};
      GatherBlock(gatherer, product, first, rows, &borders);
      if (args.pad_value != 0) borders.count = 0;
      const int32_t channel = group * group_outputs + channels.begin;
      const BinaryColumns columns = {
          channels.end - channels.begin,
          tensors.bias.data + channel,
          tensors.requantization.data + channel,
          tensors.weights.data + static_cast<size_t>(channel) * geometry.row_bytes,
          tensors.weights.data + tensors.weights.size,
          window.height.kernel * window.width.kernel,
          geometry.conv2d.group_inputs};
      PaddingCorrection<Simd> correction = {columns, window, borders, tap_sums};
      product.Run(columns, rows, args.form, conv2d.quantization, &correction, channel, output,
                  output_bytes);
    }
  }
  return Status::kOk;
}

}  // namespace edgeax
