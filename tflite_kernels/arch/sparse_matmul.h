#pragma once  // arch/sparse_matmul.h: rows of int8 times columns of sparse weights.

#include "tflite_kernels/arch/matmul.h"
#include "tflite_kernels/core/sparse.h"

// The driver that sparse convolution and sparse matrix product share on every instruction set. It
// has three forms, chosen by what was measured:
// - Vector, for few rows: each block of weights that is left is multiplied with its part of a row.
// - Lanes, for many rows and few weights: a block of rows is transposed, so that one weight meets
//   as many rows as there are lanes, and weights that are left out cost nothing.
// - Dense, for many rows and many weights: a tile of columns is written out with its zeros and
//   multiplied as in arch/matmul.h.
//
// `Simd` is a struct as in arch/matmul.h with the steps of arch/sparse_avx2.h added.
namespace edgeax {

// Rows of the Lanes form that are computed together, and those that are transposed together.
constexpr int32_t kLanes = 16;
constexpr int32_t kStripRows = 8;

// So many times kLanes rows at once.
template <int32_t kParts>
struct Parts {
  static constexpr int32_t kCount = kParts;
};

// Weights of a list are filled up with zeros to a multiple of this.
constexpr int32_t kListStep = 4;

// Numbers that WritePlaces may write beyond the last.
constexpr int32_t kListSpill = 8;

// What Simd may ask about the weights of a list.
struct ListSums {
  int32_t sum;
  bool has_lowest;  // whether one of them is -128
};

// Sizes and scratch layout of each form, of which only one is used at a time.
struct SparsePlan {
  MatMulPlan dense;
  size_t list_bytes;     // what is left of one column: offsets
  size_t weights_bytes;  // and weights
  int32_t block_rows;    // of the Lanes form
  size_t lanes_bytes, strip_bytes, sums_bytes;
  size_t vectors_bytes;
  size_t total_bytes;
};

static inline size_t Largest(size_t a, size_t b) { return a > b ? a : b; }

template <typename Simd>
SparsePlan PlanSparse(int64_t rows, int32_t depth) {
  using Left = typename Simd::Left;
  SparsePlan plan;
  plan.dense = PlanMatMul<Simd>(rows, depth);
  const size_t padded_depth = static_cast<size_t>(plan.dense.padded_depth);
  plan.list_bytes = AlignedBytes((padded_depth + kListSpill) * sizeof(int32_t));
  plan.weights_bytes =
      AlignedBytes((padded_depth + kListStep * Simd::kGroup) * sizeof(typename Simd::ListWeight));
  const size_t row_bytes = padded_depth * sizeof(Left);
  int64_t most = static_cast<int64_t>(kLeftBytes / row_bytes) / kLanes * kLanes;
  if (most < 2 * kLanes) most = 2 * kLanes;
  const int64_t blocks = (rows + most - 1) / most;  // of about the same size
  plan.block_rows =
      static_cast<int32_t>(((rows + blocks - 1) / blocks + kLanes - 1) / kLanes * kLanes);
  plan.lanes_bytes = AlignedBytes(static_cast<size_t>(plan.block_rows) * row_bytes);
  plan.strip_bytes = AlignedBytes(kStripRows * row_bytes + Simd::kDepthStep * sizeof(Left));
  plan.sums_bytes =
      AlignedBytes(static_cast<size_t>(plan.block_rows) * Simd::kColumns * sizeof(int32_t));
  plan.vectors_bytes =
      AlignedBytes(Simd::kFewSparseRows * padded_depth * sizeof(typename Simd::VectorNumber));
  const size_t dense_bytes = plan.dense.total_bytes + AlignedBytes(padded_depth * Simd::kColumns);
  const size_t lanes_bytes = plan.lanes_bytes + plan.strip_bytes + plan.sums_bytes;
  const size_t vector_bytes = plan.vectors_bytes + plan.strip_bytes;
  plan.total_bytes = kScratchAlignment + plan.list_bytes + plan.weights_bytes +
                     Largest(dense_bytes, Largest(lanes_bytes, vector_bytes));
  return plan;
}

// 8 bytes of a mask, those from `end` on zero.
static inline uint64_t LoadMask(const uint8_t* from, const uint8_t* end) {
  uint64_t mask = 0;
  if (end - from >= 8) {
    memcpy(&mask, from, 8);
  } else {
    for (ptrdiff_t i = 0; i < end - from; ++i) mask |= static_cast<uint64_t>(from[i]) << (8 * i);
  }
  return mask;
}

// Write the places of the blocks that are left of a row, given by the bytes from `next` to `end`,
// and up to kListSpill numbers more: what is spare in the last byte.

static inline void WriteMaskPlaces(const uint8_t* next, const uint8_t* end, int32_t* to) {
  for (int32_t first = 0; next < end; first += 64, next += 8) {
    for (uint64_t mask = LoadMask(next, end); mask != 0; mask &= mask - 1) {
      *to++ = first + __builtin_ctzll(mask);
    }
  }
}

template <int32_t kBits>
static inline void WriteRelativePlaces(const uint8_t* next, const uint8_t* end, int32_t* to) {
  constexpr int32_t kHighest = (1 << kBits) - 1;
  int32_t place = 0;
  for (; next < end; ++next) {
    for (int32_t shift = 0; shift < 8; shift += kBits) {
      const int32_t left_out = (*next >> shift) & kHighest;
      const int32_t is_left = left_out != kHighest ? 1 : 0;  // without a branch
      place += left_out;
      *to = place;
      to += is_left;
      place += is_left;
    }
  }
}

static inline void WritePlaces(Places places, const uint8_t* next, const uint8_t* end,
                               int32_t* to) {
  switch (places) {
    case Places::kBitmask:
      return WriteMaskPlaces(next, end, to);
    case Places::kRelative4:
      return WriteRelativePlaces<4>(next, end, to);
    case Places::kRelative8:
      return WriteRelativePlaces<8>(next, end, to);
  }
}

// Makes of each of `count` offsets kUnits, each `step` beyond the one before.
template <int32_t kUnits>
static inline void SplitOffsetsBy(int32_t count, int32_t step, int32_t* offsets) {
  for (int32_t i = count - 1; i >= 0; --i) {
    const int32_t offset = offsets[i];
    for (int32_t k = 0; k < kUnits; ++k) offsets[i * kUnits + k] = offset + k * step;
  }
}

static inline void SplitOffsets(int32_t count, int32_t units, int32_t step, int32_t* offsets) {
  switch (units) {
    case 2:
      return SplitOffsetsBy<2>(count, step, offsets);
    case 4:
      return SplitOffsetsBy<4>(count, step, offsets);
    case 8:
      return SplitOffsetsBy<8>(count, step, offsets);
    case 16:
      return SplitOffsetsBy<16>(count, step, offsets);
    default:
      return;
  }
}

// For each byte of a mask, which of the next values a weight is: 255 for none.
struct ExpandTable {
  alignas(8) uint8_t index[256][8];
  uint8_t count[256];
};

static constexpr ExpandTable MakeExpandTable() {
  ExpandTable table = {};
  for (int32_t mask = 0; mask < 256; ++mask) {
    uint8_t count = 0;
    for (int32_t i = 0; i < 8; ++i) {
      const bool is_left = (mask >> i & 1) != 0;
      table.index[mask][i] = is_left ? count : uint8_t{255};
      if (is_left) ++count;
    }
    table.count[mask] = count;
  }
  return table;
}

static constexpr ExpandTable kExpandTable = MakeExpandTable();

// Codes of `rows` rows of sums int32 [kColumns][pitch].
template <typename Simd>
void FinishLanes(const typename Simd::LanesFinish& finish, const int32_t* sums, ptrdiff_t pitch,
                 int32_t rows, int8_t* output, size_t stride) {
  if constexpr (Simd::kFinishesLanes) {
    if (finish.serves) {
      int8_t codes[kLanes * Simd::kColumns];
      for (int32_t r = 0; r < rows; r += kLanes) {
        finish.WriteCodes(sums + r, pitch, codes);
        finish.StoreCodes(codes, rows - r < kLanes ? rows - r : kLanes,
                          output + static_cast<size_t>(r) * stride, stride);
      }
      return;
    }
  }
  int32_t by_row[kLanes * Simd::kColumns];
  for (int32_t r = 0; r < rows; r += kLanes) {
    for (int32_t i = 0; i < kLanes; i += Simd::kSumRows) {
      Simd::TransposeSums(sums + r + i, pitch, by_row + i * Simd::kColumns);
    }
    StoreRows(finish, by_row, Simd::kColumns, rows - r < kLanes ? rows - r : kLanes,
              output + static_cast<size_t>(r) * stride, stride);
  }
}

template <typename Simd>
struct SparseMatMul {
  using Left = typename Simd::Left;
  using ListWeight = typename Simd::ListWeight;
  using VectorNumber = typename Simd::VectorNumber;

  SparseMatMul(const SparsePlan& plan, const SparseFormat& format, int32_t depth,
               const SparseWeights& weights, const Quantization& quantization,
               Span<uint8_t> scratch)
      : plan(plan),
        format(format),
        depth(depth),
        weights(weights),
        quantization(quantization),
        offsets(reinterpret_cast<int32_t*>(AlignedStart(scratch.data))),
        list_weights(reinterpret_cast<ListWeight*>(AlignedStart(scratch.data) + plan.list_bytes)),
        rest(AlignedStart(scratch.data) + plan.list_bytes + plan.weights_bytes) {}

  const SparsePlan& plan;
  const SparseFormat& format;
  const int32_t depth;
  const SparseWeights& weights;
  const Quantization& quantization;
  int32_t* const offsets;          // of the weights of one column
  ListWeight* const list_weights;  // of the same
  uint8_t* const rest;             // of the scratch memory

  // Multiplies `rows` rows with the columns that start at row `first` of the weights. The codes of
  // a row go to `output`, the next row lies `stride` further. `gather(r, to)` writes row r.
  template <typename Gather>
  void Run(int32_t first, const Columns& columns, int32_t rows, const Gather& gather,
           int8_t* output, size_t stride) const {
    if (rows <= Simd::kFewSparseRows)
      return RunVectors(first, columns, rows, gather, output, stride);
    const SparseStart* starts = weights.starts.data + first;
    const int64_t left = starts[columns.count].value - starts[0].value;
    const bool grouped = format.block % Simd::kGroup == 0;
    const int32_t most = grouped ? Simd::kGroupedLanesPercent : Simd::kLanesPercent;
    if (left * 100 > int64_t{columns.count} * depth * most) {
      RunDense(first, columns, rows, gather, output, stride);
    } else if (grouped) {
      RunLanes<Simd::kGroup>(first, columns, rows, gather, output, stride);
    } else {
      RunLanes<1>(first, columns, rows, gather, output, stride);
    }
  }

  template <typename Gather>
  void GatherRow(const Gather& gather, int32_t row, Left* to) const {
    gather(row, to);
    Simd::FillLeft(to + depth, plan.dense.padded_depth - depth, quantization);
  }

  const int8_t* ValuesOf(int32_t column) const {
    return weights.values.data + weights.starts.data[column].value;
  }

  int32_t CountOf(int32_t column) const {
    return weights.starts.data[column + 1].value - weights.starts.data[column].value;
  }

  // Places of the blocks of a column times `scale`, to the list. Returns how many.
  int32_t ListOffsets(int32_t column, int32_t scale) const {
    const SparseStart* start = weights.starts.data + column;
    const uint8_t* indices = weights.indices.data;
    int32_t* const list = offsets;
    WritePlaces(format.places, indices + start[0].index, indices + start[1].index, list);
    const int32_t count = CountOf(column) / format.block;
    if (scale == 1) return count;
    for (int32_t i = 0; i < count; ++i) list[i] *= scale;
    return count;
  }

  // ---- Vector.

  template <typename Gather>
  void RunVectors(int32_t first, const Columns& columns, int32_t rows, const Gather& gather,
                  int8_t* output, size_t stride) const {
    VectorNumber* vectors = reinterpret_cast<VectorNumber*>(rest);
    Left* row = reinterpret_cast<Left*>(rest + plan.vectors_bytes);
    const int32_t pitch = plan.dense.padded_depth;
    for (int32_t r = 0; r < rows; ++r) {
      GatherRow(gather, r, row);
      Simd::Center(row, pitch, quantization, vectors + r * pitch);
    }
    const int32_t none[Simd::kColumns] = {};
    for (int32_t c = 0; c < columns.count; c += Simd::kColumns) {
      const int32_t count = MatMul<Simd>::TileColumns(columns, c);
      int32_t sums[Simd::kFewSparseRows][Simd::kColumns] = {};
      for (int32_t i = 0; i < count; ++i) DotColumn(first + c + i, vectors, rows, &sums[0][i]);
      const typename Simd::Finish finish(columns.bias + c, columns.factors + c, none, count,
                                         quantization);
      for (int32_t r = 0; r < rows; ++r) {
        finish.Store(sums[r], output + static_cast<size_t>(r) * stride + c);
      }
    }
  }

  // Sums of the products of each vector with a column, kColumns numbers apart.
  void DotColumn(int32_t column, const VectorNumber* vectors, int32_t rows, int32_t* sums) const {
    const int8_t* values = ValuesOf(column);
    const int32_t pitch = plan.dense.padded_depth;
    if constexpr (Simd::kDotsMaskOfFours) {
      if (format.block == 4 && format.places == Places::kBitmask) {
        const uint8_t* mask = weights.indices.data + weights.starts.data[column].index;
        for (int32_t r = 0; r < rows; ++r) {
          sums[r * Simd::kColumns] =
              Simd::DotMaskOfFours(vectors + r * pitch, depth, mask, values, quantization);
        }
        return;
      }
    }
    const int32_t offset = Simd::VectorOffset(values, CountOf(column), quantization);
    if (IsMaskOfSingles() &&
        CountOf(column) * int64_t{100} > int64_t{depth} * Simd::kExpandPercent) {
      for (int32_t r = 0; r < rows; ++r) {
        sums[r * Simd::kColumns] = DotMask(column, vectors + r * pitch) + offset;
      }
      return;
    }
    const int32_t count = ListOffsets(column, format.block);
    if (format.block == 2) SplitOffsets(count, 2, 1, offsets);
    for (int32_t r = 0; r < rows; ++r) {
      sums[r * Simd::kColumns] = Dot(vectors + r * pitch, values, count) + offset;
    }
  }

  bool IsMaskOfSingles() const { return format.block == 1 && format.places == Places::kBitmask; }

  // Goes through a column of single weights with a mask: `expand(k, mask, values)` takes 16 from k
  // on, reads 16 values and returns the next one; `single(k, value)` takes one at the end.
  template <typename Expand, typename Single>
  void VisitMask(int32_t column, const Expand& expand, const Single& single) const {
    const uint8_t* mask = weights.indices.data + weights.starts.data[column].index;
    const int8_t* values = ValuesOf(column);
    const int8_t* end = weights.values.data + weights.values.size;
    int32_t k = 0;
    for (; k + 16 <= depth && end - values >= 16; k += 16, mask += 2) {
      values = expand(k, mask, values);
    }
    for (; k < depth; ++mask) {
      for (int32_t i = 0; i < 8 && k < depth; ++i, ++k) {
        if ((*mask >> i & 1) != 0) single(k, *values++);
      }
    }
  }

  int32_t DotMask(int32_t column, const VectorNumber* vector) const {
    typename Simd::MaskSum sum;
    int32_t rest_of_sum = 0;
    VisitMask(
        column,
        [&](int32_t k, const uint8_t* mask, const int8_t* values) {
          return sum.Add16(vector + k, mask, values);
        },
        [&](int32_t k, int8_t value) { rest_of_sum += vector[k] * value; });
    return sum.Total() + rest_of_sum;
  }

  int32_t Dot(const VectorNumber* vector, const int8_t* values, int32_t blocks) const {
    switch (format.block) {
      case 4:
        return Simd::template DotBlocks<4>(vector, offsets, values, blocks);
      case 8:
        return Simd::template DotBlocks<8>(vector, offsets, values, blocks);
      case 16:
        return Simd::template DotBlocks<16>(vector, offsets, values, blocks);
      default:  // weights of small blocks are taken one by one
        return DotSingles(vector, values, blocks * format.block);
    }
  }

  int32_t DotSingles(const VectorNumber* vector, const int8_t* values, int32_t count) const {
    const auto product = [&](int32_t i) { return vector[offsets[i]] * values[i]; };
    int32_t a = 0, b = 0, c = 0, d = 0;
    int32_t i = 0;
    for (; i + 4 <= count; i += 4) {
      a += product(i), b += product(i + 1), c += product(i + 2), d += product(i + 3);
    }
    for (; i < count; ++i) a += product(i);
    return (a + b) + (c + d);
  }

  // ---- Lanes. A number of row r at depth k lies at [k / group][r][k % group]: a group of depths,
  // which a block of weights never splits, is multiplied at once.

  template <int32_t kGroup, typename Gather>
  void RunLanes(int32_t first, const Columns& columns, int32_t rows, const Gather& gather,
                int8_t* output, size_t stride) const {
    Left* lanes = reinterpret_cast<Left*>(rest);
    int32_t* sums = reinterpret_cast<int32_t*>(rest + plan.lanes_bytes + plan.strip_bytes);
    for (int32_t r = 0; r < rows; r += plan.block_rows) {
      const int32_t left_over = rows - r;
      const int32_t count = left_over < plan.block_rows ? left_over : plan.block_rows;
      PackLanes<kGroup>(r, count, gather, lanes);
      for (int32_t c = 0; c < columns.count; c += Simd::kColumns) {
        RunLaneTile<kGroup>(first, columns, c, count, lanes, sums,
                            output + static_cast<size_t>(r) * stride + c, stride);
      }
    }
  }

  template <int32_t kGroup, typename Gather>
  void PackLanes(int32_t first_row, int32_t rows, const Gather& gather, Left* lanes) const {
    Left* strip = reinterpret_cast<Left*>(rest + plan.lanes_bytes);
    const int32_t pitch = plan.dense.padded_depth;
    for (int32_t r = 0; r < rows; r += kStripRows) {
      for (int32_t i = 0; i < kStripRows && r + i < rows; ++i) {
        GatherRow(gather, first_row + r + i, strip + i * pitch);
      }
      // Rows beyond the last are what the strip held before: computed and thrown away.
      constexpr int32_t kStep = kGroup == 1 ? kStripRows : Simd::kDepthStep;
      for (int32_t k = 0; k < pitch; k += kStep) {
        Simd::template Transpose<kGroup>(
            strip + k, pitch,
            lanes + static_cast<size_t>(k) * plan.block_rows + static_cast<size_t>(r) * kGroup,
            plan.block_rows * kGroup);
      }
    }
  }

  // What is left of a column to the lists. Returns the number of offsets.
  template <int32_t kGroup>
  __attribute__((noinline)) int32_t ListColumn(int32_t column, ListSums* sums) const {
    const int32_t blocks = ListOffsets(column, format.block * plan.block_rows);
    const int32_t units = format.block / kGroup;
    SplitOffsets(blocks, units, kGroup * plan.block_rows, offsets);
    int32_t count = blocks * units;
    *sums = Simd::CopyWeights(ValuesOf(column), CountOf(column), list_weights);
    for (; count % kListStep != 0; ++count) {
      offsets[count] = 0;
      for (int32_t i = 0; i < kGroup; ++i) list_weights[count * kGroup + i] = 0;
    }
    return count;
  }

  template <int32_t kGroup>
  void RunLaneTile(int32_t first, const Columns& columns, int32_t c, int32_t rows,
                   const Left* lanes, int32_t* sums, int8_t* output, size_t stride) const {
    const int32_t count = MatMul<Simd>::TileColumns(columns, c);
    int32_t added[Simd::kColumns] = {};
    for (int32_t i = 0; i < count; ++i) {
      ListSums list;
      const int32_t entries = ListColumn<kGroup>(first + c + i, &list);
      added[i] = Simd::OffsetOf(list.sum, quantization);
      int32_t* to = sums + static_cast<size_t>(i) * plan.block_rows;
      int32_t r = 0;
      const auto add = [&](auto parts) {
        Simd::template AddLanes<kGroup, decltype(parts)::kCount>(
            lanes + static_cast<size_t>(r) * kGroup, offsets, list_weights, entries,
            list.has_lowest, to + r);
        r += decltype(parts)::kCount * kLanes;
      };
      while (rows - r > 3 * kLanes) add(Parts<4>());
      while (rows - r > kLanes) add(Parts<2>());
      if (rows > r) add(Parts<1>());
    }
    const typename Simd::LanesFinish finish(columns.bias + c, columns.factors + c, added, count,
                                            quantization);
    FinishLanes<Simd>(finish, sums, plan.block_rows, rows, output, stride);
  }

  // ---- Dense.

  template <typename Gather>
  void RunDense(int32_t first, const Columns& columns, int32_t rows, const Gather& gather,
                int8_t* output, size_t stride) const {
    const MatMul<Simd> product(plan.dense, quantization, rest);
    int8_t* tile = reinterpret_cast<int8_t*>(rest + plan.dense.total_bytes);
    const int32_t pitch = plan.dense.padded_depth;
    Columns with_largest = columns;
    with_largest.largest = HasLowestValue() ? kLargestWeight : INT8_MAX;
    for (int32_t r = 0; r < rows; r += plan.dense.block_rows) {
      const int32_t left_over = rows - r;
      const int32_t count = left_over < plan.dense.block_rows ? left_over : plan.dense.block_rows;
      for (int32_t i = 0; i < count; ++i) GatherRow(gather, r + i, product.LeftRow(i));
      for (int32_t c = 0; c < columns.count; c += Simd::kColumns) {
        const int32_t tile_columns = MatMul<Simd>::TileColumns(columns, c);
        memset(tile, 0, static_cast<size_t>(pitch) * Simd::kColumns);
        for (int32_t i = 0; i < tile_columns; ++i) WriteDense(first + c + i, tile + i * pitch);
        product.RunTile(typename Simd::DenseRows{tile, pitch}, with_largest, c, count,
                        output + static_cast<size_t>(r) * stride + c, stride);
      }
    }
  }

  // Writes the blocks of a column where they stood.
  void WriteDense(int32_t column, int8_t* to) const {
    if (IsMaskOfSingles()) {
      return VisitMask(
          column,
          [&](int32_t k, const uint8_t* mask, const int8_t* from) {
            return Simd::Expand16(mask, from, to + k);
          },
          [&](int32_t k, int8_t value) { to[k] = value; });
    }
    const int8_t* values = ValuesOf(column);
    const int32_t count = ListOffsets(column, format.block);
    switch (format.block) {
      case 1:
        return CopyBlocks<1>(values, count, to);
      case 2:
        return CopyBlocks<2>(values, count, to);
      case 4:
        return CopyBlocks<4>(values, count, to);
      case 8:
        return CopyBlocks<8>(values, count, to);
      default:
        return CopyBlocks<16>(values, count, to);
    }
  }

  template <int32_t kBlock>
  void CopyBlocks(const int8_t* values, int32_t count, int8_t* to) const {
    for (int32_t i = 0; i < count; ++i, values += kBlock) memcpy(to + offsets[i], values, kBlock);
  }

  bool HasLowestValue() const {
    int8_t lowest = 0;
    for (size_t i = 0; i < weights.values.size; ++i) {
      lowest = weights.values.data[i] < lowest ? weights.values.data[i] : lowest;
    }
    return lowest == INT8_MIN;
  }
};

}  // namespace edgeax
