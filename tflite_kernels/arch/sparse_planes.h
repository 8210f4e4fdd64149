#pragma once  // arch/sparse_planes.h: sparse convolution of stride 1 without gathered windows.

#include "tflite_kernels/arch/conv2d.h"
#include "tflite_kernels/arch/sparse_matmul.h"

// The Lanes form of arch/sparse_matmul.h for blocks that are whole groups of channels. An image
// lies in scratch once, with its padding, as planes [channel / group][position][channel % group]. A
// tap of the window is then a distance within a plane, and lanes are positions beside each other,
// those beyond the end of a line too: they are computed and thrown away. The lists of a tile of
// columns are made once for the whole image. Where Simd has kSharedColumns, neighboring columns
// whose blocks stand at the same places are multiplied together.
namespace edgeax {

// Positions that are computed for all columns of a tile before the next ones.
constexpr int32_t kPlaneRows = 4 * kLanes;

// Listing a weight takes as long as writing so many numbers to planes.
constexpr int32_t kNumbersOfWeight = 2;

// A plane may have so many times the positions of the image, and so many more.
constexpr int32_t kMostPadding = 4;
constexpr int32_t kMorePadding = 4096;

struct PlanesPlan {
  bool serves;
  int32_t pitch;          // positions of a line
  int32_t plane;          // positions of a plane
  int32_t strip_numbers;  // of one position, all planes
  int32_t most_entries;   // of the list of a column
  size_t planes_bytes, strip_bytes, table_bytes, offsets_bytes, weights_bytes, sums_bytes;
  size_t total_bytes;
};

template <typename Simd>
PlanesPlan PlanPlanes(const SparseConv2DArgs& args, const Conv2DGeometry& geometry) {
  using Left = typename Simd::Left;
  const Axis &height = geometry.window.height, &width = geometry.window.width;
  PlanesPlan plan = {};
  const int64_t lines = height.output + int64_t{height.kernel - 1} * height.dilation;
  const int64_t line = width.output + int64_t{width.kernel - 1} * width.dilation;
  // What pads the end of a line pads the start of the next one too.
  const int64_t after = line - width.pad - width.input;
  const int64_t pitch = line - (after < width.pad ? (after > 0 ? after : 0) : width.pad);
  const int64_t inputs =
      (geometry.group_inputs + Simd::kDepthStep - 1) / Simd::kDepthStep * int64_t{Simd::kDepthStep};
  // A strip may write beyond the end of the last line. Without other taps than the first all
  // registers can be whole cache lines; else the planes had better be small.
  const int64_t step = geometry.depth == geometry.group_inputs ? kLanes : 1;
  const int64_t plane = (lines * pitch + width.pad + kStripRows + step - 1) / step * step;
  plan.serves = height.stride == 1 && width.stride == 1 && args.format.block % Simd::kGroup == 0 &&
                geometry.group_inputs % Simd::kGroup == 0 &&
                plane <= int64_t{height.input} * width.input * kMostPadding + kMorePadding &&
                (plane + kPlaneRows) * inputs <= kMaxElements;
  if (!plan.serves) return plan;
  plan.pitch = static_cast<int32_t>(pitch);
  plan.plane = static_cast<int32_t>(plane);
  plan.strip_numbers = static_cast<int32_t>(inputs);
  plan.most_entries = (geometry.depth / Simd::kGroup + kMaxSparseBlock + kListSpill + kListStep) /
                      kListStep * kListStep;
  const size_t entries = static_cast<size_t>(plan.most_entries);
  plan.planes_bytes =
      AlignedBytes(static_cast<size_t>((plane + kPlaneRows) * inputs) * sizeof(Left));
  plan.strip_bytes =
      AlignedBytes(static_cast<size_t>(kStripRows * inputs + Simd::kDepthStep) * sizeof(Left));
  plan.table_bytes = AlignedBytes(entries * sizeof(int32_t));
  plan.offsets_bytes = AlignedBytes(entries * Simd::kColumns * sizeof(int32_t));
  plan.weights_bytes =
      AlignedBytes(entries * Simd::kColumns * Simd::kGroup * sizeof(typename Simd::ListWeight));
  plan.sums_bytes = AlignedBytes(size_t{Simd::kColumns} * kPlaneRows * sizeof(int32_t));
  plan.total_bytes = kScratchAlignment + plan.planes_bytes + plan.strip_bytes + plan.table_bytes +
                     plan.offsets_bytes + plan.weights_bytes + plan.sums_bytes;
  return plan;
}

template <typename Simd>
struct SparsePlanes {
  using Left = typename Simd::Left;
  using ListWeight = typename Simd::ListWeight;

  SparsePlanes(const PlanesPlan& plan, const SparseConv2DArgs& args, const Conv2DGeometry& geometry,
               const SparseTensors& tensors)
      : plan(plan), args(args), geometry(geometry), tensors(tensors) {
    uint8_t* at = AlignedStart(tensors.scratch.data);
    const auto next = [&](size_t bytes) {
      uint8_t* const start = at;
      at += bytes;
      return start;
    };
    planes = reinterpret_cast<Left*>(next(plan.planes_bytes));
    strip = reinterpret_cast<Left*>(next(plan.strip_bytes));
    table = reinterpret_cast<int32_t*>(next(plan.table_bytes));
    offsets = reinterpret_cast<int32_t*>(next(plan.offsets_bytes));
    list_weights = reinterpret_cast<ListWeight*>(next(plan.weights_bytes));
    sums = reinterpret_cast<int32_t*>(next(plan.sums_bytes));
  }

  const PlanesPlan& plan;
  const SparseConv2DArgs& args;
  const Conv2DGeometry& geometry;
  const SparseTensors& tensors;
  Left* planes;
  Left* strip;
  int32_t* table;            // where the groups of a row of weights meet the planes
  int32_t* offsets;          // lists of a tile
  ListWeight* list_weights;  // of the same
  int32_t* sums;             // [columns][kPlaneRows]

  void Run() const {
    WriteTable();
    const int32_t tiles = (geometry.group_outputs - 1) / Simd::kColumns + 1;  // of a group
    const int32_t all_tiles = args.conv2d.groups * tiles, all_positions = Positions();
    const bool by_position = SplitsPositions();
    const Share all = {0, 1};
    const Range range = RangeOf(all_tiles, 1, by_position ? all : tensors.share);
    const Range positions = RangeOf(all_positions, kLanes, by_position ? tensors.share : all);
    if (positions.begin == positions.end) return;
    for (int32_t batch = 0; batch < args.conv2d.input.batch; ++batch) {
      for (int32_t tile = range.begin; tile < range.end; ++tile) {
        const int32_t group = tile / tiles, c = tile % tiles * Simd::kColumns;
        if (c == 0 || tile == range.begin) {
          WritePlanes(batch, group * geometry.group_inputs, positions);
        }
        RunTile(batch, group * geometry.group_outputs + c, geometry.group_outputs - c, positions);
      }
    }
  }

  // Positions of the output, with those between the end of a line and the start of the next one.
  int32_t Positions() const {
    const int32_t width = geometry.window.width.output;
    return (geometry.window.height.output - 1) * plan.pitch + width;
  }

  // Shares of the output channels write the planes again each, shares of the positions the lists:
  // whichever is less work.
  bool SplitsPositions() const {
    const int64_t numbers = int64_t{Positions()} * geometry.group_inputs * args.conv2d.groups;
    return numbers >= kNumbersOfWeight * static_cast<int64_t>(tensors.weights.values.size);
  }

  void WriteTable() const {
    const Axis &height = geometry.window.height, &width = geometry.window.width;
    int32_t* to = table;
    for (int32_t ky = 0; ky < height.kernel; ++ky) {
      for (int32_t kx = 0; kx < width.kernel; ++kx) {
        const int32_t tap = ky * height.dilation * plan.pitch + kx * width.dilation;
        for (int32_t c = 0; c < geometry.group_inputs; c += Simd::kGroup) {
          *to++ = c * plan.plane + tap * Simd::kGroup;
        }
      }
    }
  }

  Left* PlaneAt(int32_t channel, int32_t position) const {
    return planes + static_cast<size_t>(channel) * plan.plane +
           static_cast<size_t>(position) * Simd::kGroup;
  }

  // The lines that outputs at `positions` read.
  void WritePlanes(int32_t batch, int32_t first_channel, Range positions) const {
    const Shape4& input = args.conv2d.input;
    const Axis &height = geometry.window.height, &width = geometry.window.width;
    const int32_t lines = height.output + (height.kernel - 1) * height.dilation;
    const int32_t last_tap =
        (height.kernel - 1) * height.dilation * plan.pitch + (width.kernel - 1) * width.dilation;
    const int32_t last = (positions.end - 1 + last_tap) / plan.pitch;
    const int32_t end = last < lines ? last + 1 : lines;
    if (last_tap == 0) {  // no padding: all lines are one
      const size_t first =
          static_cast<size_t>(batch) * input.height * input.width + positions.begin;
      return WritePixels(tensors.input.data + first * input.channels + first_channel,
                         positions.end - positions.begin, positions.begin);
    }
    for (int32_t line = positions.begin / plan.pitch; line < end; ++line) {
      const int32_t y = line - height.pad;
      const int32_t start = line * plan.pitch;
      if (!AxisHas(height, y)) {
        FillPositions(start, plan.pitch);
        continue;
      }
      const size_t pixel = (static_cast<size_t>(batch) * input.height + y) * input.width;
      WriteLine(tensors.input.data + pixel * input.channels + first_channel, start);
    }
    FillPositions(end * plan.pitch, width.pad);
  }

  void FillPositions(int32_t position, int32_t count) const {
    for (int32_t c = 0; c < geometry.group_inputs; c += Simd::kGroup) {
      Simd::FillLeft(PlaneAt(c, position), count * Simd::kGroup, args.conv2d.quantization);
    }
  }

  // The pixels of a line, then the padding beside them: a strip may write beyond the pixels.
  void WriteLine(const int8_t* line, int32_t start) const {
    const Axis& width = geometry.window.width;
    const int32_t fit = plan.pitch - width.pad;
    const int32_t pixels = width.input < fit ? width.input : fit;
    WritePixels(line, pixels, start + width.pad);
    FillPositions(start, width.pad);
    FillPositions(start + width.pad + pixels, plan.pitch - width.pad - pixels);
  }

  // `pixels` pixels beside each other, to `position` and up to kStripRows - 1 more.
  void WritePixels(const int8_t* from, int32_t pixels, int32_t position) const {
    const ptrdiff_t channels = args.conv2d.input.channels;
    const ptrdiff_t pitch = ptrdiff_t{plan.plane} * Simd::kGroup;
    for (int32_t x = 0; x < pixels; x += kStripRows, from += kStripRows * channels) {
      int32_t done = 0;
      if constexpr (Simd::kTransposesCodes) {
        while (pixels - x >= kStripRows && geometry.group_inputs - done >= Simd::kDepthStep) {
          Simd::TransposeCodes(from + done, channels, PlaneAt(done, position + x), pitch);
          done += Simd::kDepthStep;
        }
      }
      if (done == plan.strip_numbers) continue;
      for (int32_t i = 0; i < kStripRows && x + i < pixels; ++i) {
        Simd::PackLeft(from + i * channels + done, tensors.input.data + tensors.input.size,
                       geometry.group_inputs - done, args.conv2d.quantization,
                       strip + i * plan.strip_numbers + done);
      }
      for (int32_t c = done; c < plan.strip_numbers; c += Simd::kDepthStep) {
        Simd::template Transpose<Simd::kGroup>(strip + c, plan.strip_numbers,
                                               PlaneAt(c, position + x), pitch);
      }
    }
  }

  // Where the groups of a column meet the planes. Returns how many.
  int32_t ListOffsets(int32_t column, int32_t* to) const {
    const SparseWeights& weights = tensors.weights;
    const SparseStart* start = weights.starts.data + column;
    const uint8_t* indices = weights.indices.data + start[0].index;
    const int32_t groups = geometry.depth / Simd::kGroup;
    const int32_t units = args.format.block / Simd::kGroup;
    if (units == 1 && args.format.places == Places::kBitmask) {
      return Simd::SelectByMask(table, indices, groups, to);
    }
    WritePlaces(args.format.places, indices, weights.indices.data + start[1].index, to);
    const int32_t blocks = (start[1].value - start[0].value) / args.format.block;
    if (units > 1) {
      for (int32_t i = 0; i < blocks; ++i) to[i] *= units;
      SplitOffsets(blocks, units, 1, to);
    }
    int32_t count = blocks * units;
    // A last block may reach beyond the row.
    while (count > 0 && to[count - 1] >= groups) --count;
    for (int32_t i = 0; i < count; ++i) to[i] = table[to[i]];
    return count;
  }

  // A column's list. Returns the number of its entries.
  int32_t ListColumn(int32_t column, int32_t* to_offsets, ListWeight* to, ListSums* list) const {
    int32_t count = ListOffsets(column, to_offsets);
    *list = Simd::CopyWeights(ValuesOf(column), count * Simd::kGroup, to);
    for (; count % kListStep != 0; ++count) {
      to_offsets[count] = 0;
      for (int32_t i = 0; i < Simd::kGroup; ++i) to[count * Simd::kGroup + i] = 0;
    }
    return count;
  }

  const int8_t* ValuesOf(int32_t column) const {
    return tensors.weights.values.data + tensors.weights.starts.data[column].value;
  }

  // Whether the blocks that are left of Simd::kSharedColumns columns stand at the same places.
  bool SharePlaces(int32_t column) const {
    const SparseStart* start = tensors.weights.starts.data + column;
    const int32_t values = start[1].value - start[0].value;
    const int32_t bytes = start[1].index - start[0].index;
    const uint8_t* const indices = tensors.weights.indices.data;
    for (int32_t i = 1; i < Simd::kSharedColumns; ++i) {
      if (start[i + 1].value - start[i].value != values) return false;
      if (start[i + 1].index - start[i].index != bytes) return false;
      const size_t size = static_cast<size_t>(bytes);
      if (memcmp(indices + start[0].index, indices + start[i].index, size) != 0) return false;
    }
    return true;
  }

  // What is made of the columns of a tile.
  struct Lists {
    int32_t entries[Simd::kColumns];
    ListSums sums[Simd::kColumns];
    bool shared[Simd::kColumns];  // the next Simd::kSharedColumns have the offsets of this one
  };

  // Makes the lists of `count` columns, and what is added to their sums.
  void ListColumns(int32_t first, int32_t count, Lists* lists, int32_t* added) const {
    for (int32_t i = 0; i < count; ++i) {
      int32_t* const to = offsets + i * plan.most_entries;
      lists->shared[i] = false;
      if constexpr (Simd::kSharedColumns > 1) {
        if (count - i >= Simd::kSharedColumns && SharePlaces(first + i)) {
          ListShared(first + i, to, &lists->entries[i], added + i);
          lists->shared[i] = true;
          i += Simd::kSharedColumns - 1;
          continue;
        }
      }
      ListWeight* const weights = list_weights + i * plan.most_entries * Simd::kGroup;
      lists->entries[i] = ListColumn(first + i, to, weights, &lists->sums[i]);
      added[i] = Simd::OffsetOf(lists->sums[i].sum, args.conv2d.quantization);
    }
  }

  // The list of columns that share it, of which the weights stay where they are.
  void ListShared(int32_t column, int32_t* to, int32_t* entries, int32_t* added) const {
    *entries = ListOffsets(column, to);
    for (int32_t i = 0; i < Simd::kSharedColumns; ++i) {
      const int32_t sum = Simd::SumOf(ValuesOf(column + i), *entries * Simd::kGroup);
      added[i] = Simd::OffsetOf(sum, args.conv2d.quantization);
    }
  }

  // The tile of columns that starts with output channel `channel`, of which `left_over` follow.
  void RunTile(int32_t batch, int32_t channel, int32_t left_over, Range positions) const {
    const int32_t count = left_over < Simd::kColumns ? left_over : Simd::kColumns;
    int32_t added[Simd::kColumns] = {};
    Lists lists;
    ListColumns(channel, count, &lists, added);
    const typename Simd::LanesFinish finish(tensors.bias.data + channel,
                                            tensors.requantization.data + channel, added, count,
                                            args.conv2d.quantization);
    const int32_t height = geometry.window.height.output, width = geometry.window.width.output;
    int32_t x = positions.begin % plan.pitch;
    const size_t pixel =
        (static_cast<size_t>(batch) * height + positions.begin / plan.pitch) * width +
        (x < width ? x : width);
    int8_t* output = tensors.output.data + pixel * args.conv2d.output_channels + channel;
    for (int32_t r = positions.begin; r < positions.end; r += kPlaneRows) {
      const int32_t left = positions.end - r;
      const int32_t used = left < kPlaneRows ? left : kPlaneRows;
      if (used > 3 * kLanes) {
        AddTile<4>(r, 0, channel, count, lists);
      } else {
        if (used > kLanes) AddTile<2>(r, 0, channel, count, lists);
        if (used <= kLanes) AddTile<1>(r, 0, channel, count, lists);
        if (used > 2 * kLanes) AddTile<1>(r, 2 * kLanes, channel, count, lists);
      }
      StorePositions(finish, used, &x, &output);
    }
  }

  // The sums of kParts * kLanes positions from `first` of the block at `row` on.
  template <int32_t kParts>
  void AddTile(int32_t row, int32_t first, int32_t channel, int32_t count,
               const Lists& lists) const {
    const Left* const lanes = planes + static_cast<size_t>(row + first) * Simd::kGroup;
    for (int32_t i = 0; i < count; ++i) {
      const int32_t* const list = offsets + i * plan.most_entries;
      int32_t* const to = sums + i * kPlaneRows + first;
      if constexpr (Simd::kSharedColumns > 1) {
        if (lists.shared[i]) {
          const int8_t* const values = ValuesOf(channel + i);
          Simd::template AddShared<kParts>(lanes, list, values, ValuesOf(channel + i + 1) - values,
                                           lists.entries[i], to, kPlaneRows);
          i += Simd::kSharedColumns - 1;
          continue;
        }
      }
      Simd::template AddLanes<Simd::kGroup, kParts>(
          lanes, list, list_weights + i * plan.most_entries * Simd::kGroup, lists.entries[i],
          lists.sums[i].has_lowest, to);
    }
  }

  // The codes of `rows` positions, the first of which is `x` of its line.
  void StorePositions(const typename Simd::LanesFinish& finish, int32_t rows, int32_t* x,
                      int8_t** output) const {
    const size_t stride = static_cast<size_t>(args.conv2d.output_channels);
    for (int32_t r = 0; r < rows; r += kLanes) {
      const int32_t count = rows - r < kLanes ? rows - r : kLanes;
      if constexpr (Simd::kFinishesLanes) {
        if (finish.serves) {
          int8_t codes[kLanes * Simd::kColumns];
          finish.WriteCodes(sums + r, kPlaneRows, codes);
          StoreRuns(count, stride, x, output, [&](int32_t first, int32_t run, int8_t* to) {
            finish.StoreCodes(codes + first * Simd::kColumns, run, to, stride);
          });
          continue;
        }
      }
      int32_t by_row[kLanes * Simd::kColumns];
      for (int32_t i = 0; i < kLanes; i += Simd::kSumRows) {
        Simd::TransposeSums(sums + r + i, kPlaneRows, by_row + i * Simd::kColumns);
      }
      StoreRuns(count, stride, x, output, [&](int32_t first, int32_t run, int8_t* to) {
        StoreRows(finish, by_row + first * Simd::kColumns, Simd::kColumns, run, to, stride);
      });
    }
  }

  // Calls store(first, run, to) for the runs of `count` positions that are in the image.
  template <typename Store>
  void StoreRuns(int32_t count, size_t stride, int32_t* x, int8_t** output,
                 const Store& store) const {
    const int32_t width = geometry.window.width.output;
    for (int32_t i = 0; i < count;) {
      const bool is_inside = *x < width;
      const int32_t left_over = (is_inside ? width : plan.pitch) - *x;
      const int32_t run = count - i < left_over ? count - i : left_over;
      if (is_inside) {
        store(i, run, *output);
        *output += static_cast<size_t>(run) * stride;
      }
      i += run;
      *x += run;
      if (*x == plan.pitch) *x = 0;
    }
  }
};

}  // namespace edgeax
