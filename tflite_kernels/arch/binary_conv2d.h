#pragma once  // arch/binary_conv2d.h: binary convolution as products of blocks of gathered windows.

#include "tflite_kernels/arch/binary_matmul.h"
#include "tflite_kernels/core/binary_conv2d.h"

namespace edgeax {

// What a convolution holds in scratch memory beside its product.
struct BinaryConv2DPlan {
  BinaryPlan product;
  size_t pixel_bytes;  // all groups of one pixel, in words
  size_t image_bytes;
  size_t insides_bytes;
  size_t tap_sums_bytes;
  size_t total_bytes;
};

// Taps of a window that lie inside the image: from first to before end along each axis.
struct WindowInside {
  int32_t first_y, end_y, first_x, end_x;
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
  plan->insides_bytes =
      AlignedBytes(static_cast<size_t>(plan->product.block_rows) * sizeof(WindowInside));
  plan->tap_sums_bytes = AlignedBytes(static_cast<size_t>(taps) * Simd::kColumns * sizeof(int32_t));
  plan->total_bytes =
      plan->product.total_bytes + plan->image_bytes + plan->insides_bytes + plan->tap_sums_bytes;
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

// Makes the taps outside the image count as 0. They hold bits 0, that is +1, so they add to a sum
// what the column's weights there sum up to.
template <typename Simd>
struct PaddingCorrection {
  const BinaryColumns& columns;
  const WindowGeometry& window;
  const WindowInside* insides;  // of each row
  int32_t* tap_sums;            // [taps][columns of a tile]
  bool is_wanted;
  WindowInside last = {-1, -1, -1, -1};
  int32_t last_sums[Simd::kColumns] = {};

  void Start(const uint8_t* right) {
    if (!is_wanted) return;
    const int32_t words = WordsOf(columns.tap_bits);
    int32_t* sums = tap_sums;
    for (int32_t t = 0; t < columns.taps; ++t, sums += Simd::kColumns) {
      Simd::CountColumns(right, words, sums);
      for (int32_t c = 0; c < Simd::kColumns; ++c) sums[c] = columns.tap_bits - 2 * sums[c];
      right += static_cast<size_t>(words) * Simd::kRightWordBytes * Simd::kColumns;
    }
    last = {-1, -1, -1, -1};
  }

  template <typename Difference>
  void Add(int32_t row, Difference* differences) {
    if (!is_wanted || SameInside(insides[row], {0, window.height.kernel, 0, window.width.kernel})) {
      return;
    }
    if (!SameInside(insides[row], last)) SumOutside(insides[row]);
    for (int32_t c = 0; c < Simd::kColumns; ++c) differences[c] += last_sums[c];
  }

  void SumOutside(const WindowInside& inside) {
    last = inside;
    memset(last_sums, 0, sizeof(last_sums));
    const int32_t* sums = tap_sums;
    for (int32_t y = 0; y < window.height.kernel; ++y) {
      const bool is_line = y >= inside.first_y && y < inside.end_y;
      for (int32_t x = 0; x < window.width.kernel; ++x, sums += Simd::kColumns) {
        if (is_line && x >= inside.first_x && x < inside.end_x) continue;
        for (int32_t c = 0; c < Simd::kColumns; ++c) last_sums[c] += sums[c];
      }
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

// Gathers the words of output positions into rows of a product.
template <typename Simd>
struct BinaryGatherer {
  const BinaryConv2DArgs& args;
  const WindowGeometry& window;
  const uint8_t* image;  // of the first pixel, the first word of the group
  size_t pixel_bytes;
  size_t tap_bytes;

  void Gather(int32_t batch, int32_t at_y, int32_t at_x, const WindowInside& inside,
              uint8_t* to) const {
    const Axis& height = window.height;
    const Axis& width = window.width;
    const size_t line_bytes = static_cast<size_t>(width.kernel) * tap_bytes;
    // Taps of a line are one run of memory when nothing lies between them.
    const bool is_run = width.dilation == 1 && pixel_bytes == tap_bytes;
    for (int32_t ky = 0; ky < height.kernel; ++ky, to += line_bytes) {
      if (ky < inside.first_y || ky >= inside.end_y) {
        memset(to, 0, line_bytes);
        continue;
      }
      const int32_t y = AxisInput(height, at_y, ky);
      const uint8_t* line =
          image + (static_cast<size_t>(batch) * height.input + y) * width.input * pixel_bytes;
      GatherLine(line, at_x, inside, is_run, to);
    }
  }

  void GatherLine(const uint8_t* line, int32_t at_x, const WindowInside& inside, bool is_run,
                  uint8_t* to) const {
    const Axis& width = window.width;
    const size_t before = static_cast<size_t>(inside.first_x) * tap_bytes;
    memset(to, 0, before);
    const size_t after = static_cast<size_t>(width.kernel - inside.end_x) * tap_bytes;
    memset(to + static_cast<size_t>(inside.end_x) * tap_bytes, 0, after);
    const int32_t run = is_run ? inside.end_x - inside.first_x : 1;
    for (int32_t kx = inside.first_x; kx < inside.end_x; kx += run) {
      const int32_t x = AxisInput(width, at_x, kx);
      Simd::CopyWords(line + static_cast<size_t>(x) * pixel_bytes,
                      static_cast<size_t>(run) * tap_bytes,
                      to + static_cast<size_t>(kx) * tap_bytes);
    }
  }
};

// Writes the words of all pixels: [pixels][groups][words of a tap].
template <typename Simd>
void PackImage(const BinaryConv2DArgs& args, const BinaryConv2DGeometry& geometry,
               Span<const int8_t> input, uint8_t* image) {
  const Conv2DArgs& conv2d = args.conv2d;
  const int32_t group_inputs = geometry.conv2d.group_inputs;
  const int32_t pixels = conv2d.input.batch * conv2d.input.height * conv2d.input.width;
  const int32_t pixel_bytes = BinaryBytes(args.form.input_packed, conv2d.input.channels);
  const int8_t* pixel = input.data;
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
                 int32_t first, int32_t rows, WindowInside* insides) {
  const WindowGeometry& window = gatherer.window;
  const int32_t width = window.width.output, height = window.height.output;
  int32_t x = first % width, y = first / width % height, batch = first / width / height;
  WindowInside inside;
  InsideOf(window.height, y, &inside.first_y, &inside.end_y);
  for (int32_t r = 0; r < rows; ++r) {
    InsideOf(window.width, x, &inside.first_x, &inside.end_x);
    insides[r] = inside;
    gatherer.Gather(batch, y, x, inside, product.LeftRow(r));
    if (++x < width) continue;
    x = 0;
    if (++y == height) {
      y = 0;
      ++batch;
    }
    InsideOf(window.height, y, &inside.first_y, &inside.end_y);
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
  auto* insides = reinterpret_cast<WindowInside*>(image + plan.image_bytes);
  auto* tap_sums = reinterpret_cast<int32_t*>(image + plan.image_bytes + plan.insides_bytes);
  PackImage<Simd>(args, geometry, tensors.input, image);

  const Conv2DArgs& conv2d = args.conv2d;
  const WindowGeometry& window = geometry.conv2d.window;
  const size_t tap_bytes =
      static_cast<size_t>(WordsOf(geometry.conv2d.group_inputs)) * Simd::kLeftWordBytes;
  const size_t output_bytes =
      static_cast<size_t>(BinaryBytes(args.form.output_packed, conv2d.output_channels));
  const int32_t pixels = conv2d.input.batch * window.height.output * window.width.output;
  for (int32_t first = 0; first < pixels; first += plan.product.block_rows) {
    const int32_t left_over = pixels - first;
    const int32_t rows = left_over < plan.product.block_rows ? left_over : plan.product.block_rows;
    int8_t* output = tensors.output.data + static_cast<size_t>(first) * output_bytes;
    for (int32_t group = 0; group < conv2d.groups; ++group) {
      const BinaryGatherer<Simd> gatherer = {args, window,
                                             image + static_cast<size_t>(group) * tap_bytes,
                                             plan.pixel_bytes, tap_bytes};
      GatherBlock(gatherer, product, first, rows, insides);
      const int32_t channel = group * geometry.conv2d.group_outputs;
      const BinaryColumns columns = {
          geometry.conv2d.group_outputs,
          tensors.bias.data + channel,
          tensors.requantization.data + channel,
          tensors.weights.data + static_cast<size_t>(channel) * geometry.row_bytes,
          tensors.weights.data + tensors.weights.size,
          window.height.kernel * window.width.kernel,
          geometry.conv2d.group_inputs};
      PaddingCorrection<Simd> correction = {columns, window, insides, tap_sums,
                                            args.pad_value == 0};
      product.Run(columns, rows, args.form, conv2d.quantization, &correction, channel, output,
                  output_bytes);
    }
  }
  return Status::kOk;
}

}  // namespace edgeax
