#pragma once  // arch/sign_sum.h: sums of signs on the drivers of arch/binary_conv2d.h: a product of
              // bits for each plane and base.

#include "tflite_kernels/arch/binary_conv2d.h"
#include "tflite_kernels/arch/binary_fully_connected.h"
#include "tflite_kernels/core/sign_sum.h"

namespace edgeax {

// What scratch holds, in this order: rows of each plane, a tile of each base, the image in each
// plane, borders, what each base's taps of a tile sum up to, the gains of a tile.
struct SignSumPlan {
  BinaryConv2DPlan conv2d;
  size_t gains_bytes;
  size_t total_bytes;
};

// Whether the rows are so few that they are compared with the weights where these lie.
static inline bool HasFewRows(const SignSumArgs& args) {
  const Window& window = args.conv2d.window;
  const Shape4& input = args.conv2d.input;
  const bool is_matrix = window.kernel_height == 1 && window.kernel_width == 1 &&
                         input.height == 1 && input.width == 1 && args.conv2d.groups == 1;
  return is_matrix && input.batch <= kFewBinaryRows;
}

template <typename Simd>
Status PlanSignSum(const SignSumArgs& args, BinaryConv2DGeometry* geometry, SignSumPlan* plan) {
  Status status = GeometryOf(args, geometry);
  if (status != Status::kOk) return status;
  const BinaryConv2DArgs one = {args.conv2d, {0, 0}, args.pad_value};
  status = PlanBinaryConv2D<Simd>(one, geometry, &plan->conv2d);
  if (status != Status::kOk) return status;
  const BinaryConv2DPlan& conv2d = plan->conv2d;
  const size_t planes = static_cast<size_t>(args.planes), bases = static_cast<size_t>(args.bases);
  plan->gains_bytes = AlignedBytes(planes * bases * Simd::kColumns * sizeof(int32_t));
  plan->total_bytes = planes * (conv2d.product.left_bytes + conv2d.image_bytes) +
                      bases * (conv2d.product.right_bytes + conv2d.tap_sums_bytes) +
                      conv2d.borders_bytes + plan->gains_bytes + kScratchAlignment;
  return Status::kOk;
}

template <typename Simd>
Status SignSumScratchBytesOn(const SignSumArgs& args, size_t* bytes) {
  BinaryConv2DGeometry geometry;
  SignSumPlan plan;
  const Status status = PlanSignSum<Simd>(args, &geometry, &plan);
  *bytes = status == Status::kOk ? plan.total_bytes : 0;
  return status;
}

// Writes the bits of one plane of `count` codes in words, the last one filled up with zeros.
template <typename Simd>
uint8_t* PackPlane(const int8_t* codes, int32_t count, Span<const int32_t> thresholds,
                   uint8_t* to) {
  for (; count > 0; count -= kWordBits, codes += kWordBits, to += Simd::kLeftWordBytes) {
    const int32_t some = count < kWordBits ? count : kWordBits;
    uint64_t word = 0;
    for (size_t t = 0; t < thresholds.size; ++t) {
      const int32_t threshold = thresholds.data[t];
      if (threshold > INT8_MAX) {
        word ^= LastMask(some);
      } else if (threshold > INT8_MIN) {
        word ^= Simd::Negative(codes, some, static_cast<int8_t>(threshold));
      }
    }
    Simd::StoreWord(word, to);
  }
  return to;
}

static inline Span<const int32_t> ThresholdsOf(const SignSumArgs& args,
                                               const SignSumTensors& tensors, int32_t plane) {
  return {tensors.thresholds.data + plane * args.thresholds, static_cast<size_t>(args.thresholds)};
}

// A product in all planes and bases. `Finish` makes codes of the totals of kLanes columns.
template <typename Simd, typename Finish, int32_t kLanes>
struct SignSumProduct {
  using Difference = typename Simd::Difference;
  static constexpr int32_t kColumns = Simd::kColumns;
  // Rows whose totals are added up before they are finished.
  static constexpr int32_t kTotalRows = 48 / Simd::kRows * Simd::kRows;

  const SignSumArgs& args;
  const SignSumTensors& tensors;
  const BinaryConv2DGeometry& geometry;
  const SignSumPlan& plan;
  uint8_t* const left;   // [planes][block_rows][words of a row]
  uint8_t* const right;  // [bases], a tile each
  uint8_t* const image;  // [planes]
  BorderRow* const border_rows;
  int32_t* const tap_sums;  // [bases][taps][columns of a tile]
  int32_t* const gains;     // [bases][planes][columns of a tile]

  SignSumProduct(const SignSumArgs& args, const SignSumTensors& tensors,
                 const BinaryConv2DGeometry& geometry, const SignSumPlan& plan)
      : args(args),
        tensors(tensors),
        geometry(geometry),
        plan(plan),
        left(AlignedStart(tensors.scratch.data)),
        right(left + args.planes * plan.conv2d.product.left_bytes),
        image(right + args.bases * plan.conv2d.product.right_bytes),
        border_rows(reinterpret_cast<BorderRow*>(image + args.planes * plan.conv2d.image_bytes)),
        tap_sums(reinterpret_cast<int32_t*>(reinterpret_cast<uint8_t*>(border_rows) +
                                            plan.conv2d.borders_bytes)),
        gains(reinterpret_cast<int32_t*>(reinterpret_cast<uint8_t*>(tap_sums) +
                                         args.bases * plan.conv2d.tap_sums_bytes)) {}

  // The rows of one plane, in the form in which blocks are gathered.
  BinaryMatMul<Simd> PlaneOf(int32_t plane) const {
    return BinaryMatMul<Simd>(plan.conv2d.product, left + plane * plan.conv2d.product.left_bytes);
  }

  uint8_t* RightOf(int32_t base) const { return right + base * plan.conv2d.product.right_bytes; }

  void PackImages() const {
    const Conv2DArgs& conv2d = args.conv2d;
    const int32_t inputs = geometry.conv2d.group_inputs;
    const int32_t pixels = conv2d.input.batch * conv2d.input.height * conv2d.input.width;
    for (int32_t p = 0; p < args.planes; ++p) {
      uint8_t* to = image + p * plan.conv2d.image_bytes;
      const int8_t* codes = tensors.input.data;
      for (int32_t i = 0; i < pixels * conv2d.groups; ++i, codes += inputs) {
        to = PackPlane<Simd>(codes, inputs, ThresholdsOf(args, tensors, p), to);
      }
    }
  }

  // The columns of one group.
  BinaryColumns ColumnsOf(int32_t group, int32_t base) const {
    const int32_t channel = group * geometry.conv2d.group_outputs;
    const WindowGeometry& window = geometry.conv2d.window;
    const size_t row = static_cast<size_t>(base) * args.conv2d.output_channels + channel;
    return {geometry.conv2d.group_outputs,
            tensors.bias.data + channel,
            tensors.requantization.data + channel,
            tensors.weights.data + row * geometry.row_bytes,
            tensors.weights.data + tensors.weights.size,
            window.height.kernel * window.width.kernel,
            geometry.conv2d.group_inputs};
  }

  // The gains of a tile; columns beyond the last have none.
  void CopyGains(int32_t channel, int32_t count) const {
    const int32_t* from = tensors.gains.data + channel;
    int32_t* to = gains;
    for (int32_t i = 0; i < args.bases * args.planes; ++i, to += kColumns) {
      for (int32_t c = 0; c < kColumns; ++c) to[c] = c < count ? from[c] : 0;
      from += args.conv2d.output_channels;
    }
  }

  static void AddTotals(const Difference* differences, int32_t depth, const int32_t* gain,
                        int32_t rows, int32_t* totals) {
    for (int32_t r = 0; r < rows; ++r, differences += kColumns, totals += kColumns) {
      for (int32_t c = 0; c < kColumns; ++c) {
        totals[c] += gain[c] * (depth - static_cast<int32_t>(differences[c]));
      }
    }
  }

  // Adds what the rows from `first` on are with one base.
  void AddBase(int32_t base, int32_t first, int32_t rows, int32_t depth,
               PaddingCorrection<Simd>* correction, int32_t* totals) const {
    const BinaryPlan& product = plan.conv2d.product;
    const int32_t start = correction->next;
    const int32_t* gain = gains + base * args.planes * kColumns;
    for (int32_t p = 0; p < args.planes; ++p, gain += kColumns) {
      Difference differences[Simd::kRows * kColumns];
      Simd::Multiply(PlaneOf(p).LeftRow(first), product.row_bytes, RightOf(base), product.words,
                     rows, differences);
      correction->next = start;
      correction->Add(first, rows, differences);
      AddTotals(differences, depth, gain, rows, totals);
    }
  }

  static void Store(const BinaryColumns& columns, int32_t first, const Quantization& quantization,
                    const int32_t* totals, int32_t rows, int8_t* output, size_t stride) {
    const int32_t zeros[kLanes] = {};
    for (int32_t lane = 0; lane < kColumns && first + lane < columns.count; lane += kLanes) {
      const int32_t at = first + lane, left_over = columns.count - at;
      const Finish finish(columns.bias + at, columns.factors + at, zeros,
                          left_over < kLanes ? left_over : kLanes, quantization);
      for (int32_t r = 0; r < rows; ++r) {
        finish.Store(totals + r * kColumns + lane, output + static_cast<size_t>(r) * stride + lane);
      }
    }
  }

  // The correction of a base from a border on; Start has summed up its taps, or is to do so.
  PaddingCorrection<Simd> CorrectionOf(const BinaryColumns& columns, const BorderRows& borders,
                                       int32_t base, int32_t next) const {
    const size_t sums = plan.conv2d.tap_sums_bytes / sizeof(int32_t);
    PaddingCorrection<Simd> correction = {columns, geometry.conv2d.window, borders,
                                          tap_sums + base * sums};
    correction.next = next;
    for (WindowInside& inside : correction.last) inside = {-1, -1, -1, -1};
    return correction;
  }

  // One tile of columns, for all rows of the block.
  void RunTile(int32_t group, int32_t first_column, int32_t rows, const BorderRows& borders,
               int8_t* output) const {
    const BinaryColumns columns = ColumnsOf(group, 0);
    const int32_t channel = group * columns.count + first_column;
    const size_t stride = static_cast<size_t>(args.conv2d.output_channels);
    BinaryColumns of_base[kMostPlanes];
    CopyGains(channel, columns.count - first_column);
    for (int32_t b = 0; b < args.bases; ++b) {
      of_base[b] = ColumnsOf(group, b);
      Simd::PackRight(of_base[b], first_column, RightOf(b));
      CorrectionOf(of_base[b], borders, b, 0).Start(RightOf(b));
      if constexpr (Simd::kFolds) Simd::FoldRight(RightOf(b), plan.conv2d.product.words);
    }
    int32_t next[kMostPlanes] = {};  // of the borders
    for (int32_t first = 0; first < rows; first += kTotalRows) {
      const int32_t end = rows - first < kTotalRows ? rows : first + kTotalRows;
      int32_t totals[kTotalRows * kColumns] = {};
      for (int32_t b = 0; b < args.bases; ++b) {
        PaddingCorrection<Simd> correction = CorrectionOf(of_base[b], borders, b, next[b]);
        for (int32_t r = first; r < end; r += Simd::kRows) {
          const int32_t count = end - r < Simd::kRows ? end - r : Simd::kRows;
          AddBase(b, r, count, Depth(columns), &correction, totals + (r - first) * kColumns);
        }
        next[b] = correction.next;
      }
      Store(columns, first_column, args.conv2d.quantization, totals, end - first,
            output + channel + static_cast<size_t>(first) * stride, stride);
    }
  }

  // The output positions of a share.
  void Run() const {
    PackImages();
    const WindowGeometry& window = geometry.conv2d.window;
    const size_t tap_bytes =
        static_cast<size_t>(WordsOf(geometry.conv2d.group_inputs)) * Simd::kLeftWordBytes;
    const int32_t pixels = args.conv2d.input.batch * window.height.output * window.width.output;
    const int32_t block = plan.conv2d.product.block_rows;
    const Range range = RangeOf(pixels, Simd::kRows, tensors.share);
    for (int32_t first = range.begin; first < range.end; first += block) {
      const int32_t rows = range.end - first < block ? range.end - first : block;
      int8_t* output =
          tensors.output.data + static_cast<size_t>(first) * args.conv2d.output_channels;
      for (int32_t group = 0; group < args.conv2d.groups; ++group) {
        BorderRows borders = {border_rows, 0};
        for (int32_t p = 0; p < args.planes; ++p) {
          const uint8_t* start = image + p * plan.conv2d.image_bytes + group * tap_bytes;
          const BinaryGatherer<Simd> gatherer(window, start, plan.conv2d.pixel_bytes, tap_bytes);
          GatherBlock(gatherer, PlaneOf(p), first, rows, &borders);
        }
        if (args.pad_value != 0) borders.count = 0;
        for (int32_t c = 0; c < geometry.conv2d.group_outputs; c += kColumns) {
          RunTile(group, c, rows, borders, output);
        }
      }
    }
  }

  // The same for few rows of a matrix product.
  void RunFew() const {
    const BinaryColumns columns = ColumnsOf(0, 0);
    const int32_t depth = columns.tap_bits, bytes = RowBytes(columns);
    const size_t stride = static_cast<size_t>(columns.count);
    const Range range = RangeOf(args.conv2d.input.batch, 1, tensors.share);
    for (int32_t r = range.begin; r < range.end; ++r) {
      for (int32_t p = 0; p < args.planes; ++p) {
        PackPlane<PlainWords<Simd>>(tensors.input.data + static_cast<size_t>(r) * depth, depth,
                                    ThresholdsOf(args, tensors, p), PlaneOf(p).left);
      }
      for (int32_t c = 0; c < columns.count; c += kColumns) {
        const int32_t count = columns.count - c < kColumns ? columns.count - c : kColumns;
        int32_t totals[kColumns] = {};
        const int32_t* gain = tensors.gains.data + c;
        for (int32_t b = 0; b < args.bases; ++b) {
          const uint8_t* rows = ColumnsOf(0, b).weights + static_cast<size_t>(c) * bytes;
          for (int32_t p = 0; p < args.planes; ++p, gain += columns.count) {
            for (int32_t i = 0; i < count; ++i) {
              const int32_t differ =
                  CountDifferences<Simd>(PlaneOf(p).left, rows + static_cast<size_t>(i) * bytes,
                                         depth, columns.weights_end);
              totals[i] += gain[i] * (depth - 2 * differ);
            }
          }
        }
        Store(columns, c, args.conv2d.quantization, totals, 1,
              tensors.output.data + static_cast<size_t>(r) * stride + c, stride);
      }
    }
  }
};

template <typename Simd, typename Finish, int32_t kLanes>
Status SignSumOn(const SignSumArgs& args, const SignSumTensors& tensors) {
  BinaryConv2DGeometry geometry;
  SignSumPlan plan;
  Status status = PlanSignSum<Simd>(args, &geometry, &plan);
  if (status == Status::kOk) status = CheckSignSum(args, tensors, &geometry);
  if (status != Status::kOk) return status;
  if (tensors.scratch.size < plan.total_bytes) return Status::kBadScratch;
  const SignSumProduct<Simd, Finish, kLanes> product(args, tensors, geometry, plan);
  if (HasFewRows(args)) {
    product.RunFew();
  } else {
    product.Run();
  }
  return Status::kOk;
}

}  // namespace edgeax
