#pragma once  // arch/grouped_matmul.h: rows of int8 times columns of weights in groups.

#include "tflite_kernels/arch/matmul.h"
#include "tflite_kernels/core/grouped.h"

// The driver that convolution and matrix product with weights in groups share: a tile of columns is
// written out as int8 and multiplied as in arch/matmul.h, or, for few rows, dotted with each.
//
// `Simd` is a struct as in arch/matmul.h with Decode32, Decode16 and DotDense added, see
// arch/grouped_avx2.h.
namespace edgeax {

// What nibbles of codes stand for, see NibbleTables: 16 bytes for codes of 4 bits, which a codebook
// is itself, twice as many for 2 bits.
template <int32_t kBits>
constexpr int32_t kGroupTableBytes = kBits == 4 ? 16 : 32;

struct GroupedColumns {
  Columns columns;
  const uint8_t* weights;  // first row
  int32_t row_bytes;
  int32_t depth;
  GroupedFormat format;
  const int8_t* tables;  // of nibbles, one for each codebook
  int32_t mask;          // of a codebook's number
};

struct GroupedPlan {
  MatMulPlan product;
  size_t tables_bytes, tile_bytes, total_bytes;
};

template <typename Simd>
GroupedPlan PlanGrouped(int64_t rows, int32_t depth, const GroupedFormat& format) {
  GroupedPlan plan;
  plan.product = PlanMatMul<Simd>(rows, depth);
  plan.tables_bytes = format.bits == 4 ? 0 : size_t{kMaxCodebooks} * kGroupTableBytes<2>;
  plan.tile_bytes = AlignedBytes(static_cast<size_t>(plan.product.padded_depth) * Simd::kColumns);
  plan.total_bytes =
      kScratchAlignment + plan.tables_bytes + plan.tile_bytes + plan.product.total_bytes;
  return plan;
}

// Returns how far from 0 a value of the codebooks is at most.
static inline int32_t LargestOf(Span<const int8_t> codebooks) {
  int32_t largest = 0;
  for (size_t i = 0; i < codebooks.size; ++i) {
    const int32_t value = codebooks.data[i], size = value < 0 ? -value : value;
    largest = size > largest ? size : largest;
  }
  return largest;
}

// Both tables of each codebook of 4 entries: the values by the first code of a nibble, then by the
// second.
static inline void WriteCrumbTables(Span<const int8_t> codebooks, int8_t* to) {
  for (size_t first = 0; first < codebooks.size; first += 4) {
    const int8_t* values = codebooks.data + first;
    for (int32_t i = 0; i < 4; ++i, to += 4) memcpy(to, values, 4);
    for (int32_t i = 0; i < 4; ++i, to += 4) memset(to, values[i], 4);
  }
}

template <typename Simd>
struct GroupedMatMul {
  using Left = typename Simd::Left;

  GroupedMatMul(const GroupedPlan& plan, const GroupedFormat& format, const Tensors& tensors,
                const Quantization& quantization)
      : format(format),
        tables(reinterpret_cast<int8_t*>(AlignedStart(tensors.scratch.data))),
        tile(tables + plan.tables_bytes),
        mask(CodebookMask(tensors, format)),
        largest(LargestOf(tensors.codebook)),
        codebooks(tensors.codebook.data),
        product(plan.product, quantization, reinterpret_cast<uint8_t*>(tile) + plan.tile_bytes) {
    if (format.bits == 2) WriteCrumbTables(tensors.codebook, tables);
  }

  const GroupedFormat format;
  int8_t* const tables;
  int8_t* const tile;  // [columns][padded depth]
  const int32_t mask;
  const int32_t largest;
  const int8_t* const codebooks;
  const MatMul<Simd> product;

  // The columns that start with row `first` of the weights.
  GroupedColumns ColumnsFrom(const Tensors& tensors, int32_t depth, int32_t first,
                             int32_t count) const {
    const int32_t row_bytes = GroupedRowBytes(format, depth);
    return {{count, tensors.bias.data + first, tensors.requantization.data + first, largest},
            tensors.weights.data + static_cast<size_t>(first) * row_bytes,
            row_bytes,
            depth,
            format,
            format.bits == 4 ? codebooks : tables,
            mask};
  }

  // Multiplies the first `rows` rows of `product`. The codes of a row go to `output`, the next row
  // lies `stride` further.
  void Run(const GroupedColumns& weights, int32_t rows, int8_t* output, size_t stride) const {
    if (format.bits == 2) return RunCodes<2>(weights, rows, output, stride);
    RunCodes<4>(weights, rows, output, stride);
  }

  template <int32_t kBits>
  void RunCodes(const GroupedColumns& weights, int32_t rows, int8_t* output, size_t stride) const {
    const Columns& columns = weights.columns;
    const int32_t pitch = product.plan.padded_depth;
    for (int32_t c = 0; c < columns.count; c += Simd::kColumns) {
      const int32_t count = MatMul<Simd>::TileColumns(columns, c);
      for (int32_t i = 0; i < count; ++i) DecodeRow<kBits>(weights, c + i, TileColumn(i));
      if (rows <= Simd::kFewRows) {
        RunFewRows(columns, c, count, rows, output + c, stride);
        continue;
      }
      // Columns beyond the last are computed and thrown away.
      memset(TileColumn(count), 0, static_cast<size_t>(Simd::kColumns - count) * pitch);
      product.RunTile(typename Simd::DenseRows{tile, pitch}, columns, c, rows, output + c, stride);
    }
  }

  int8_t* TileColumn(int32_t column) const {
    return tile + static_cast<ptrdiff_t>(column) * product.plan.padded_depth;
  }

  void RunFewRows(const Columns& columns, int32_t c, int32_t count, int32_t rows, int8_t* output,
                  size_t stride) const {
    const int32_t offsets[Simd::kColumns] = {};
    const typename Simd::Finish finish(columns.bias + c, columns.factors + c, offsets, count,
                                       product.quantization);
    for (int32_t r = 0; r < rows; ++r) {
      int32_t sums[Simd::kColumns] = {};
      for (int32_t i = 0; i < count; ++i) {
        sums[i] = Simd::DotDense(product.LeftRow(r), TileColumn(i), product.plan.padded_depth,
                                 product.quantization);
      }
      finish.Store(sums, output + static_cast<size_t>(r) * stride);
    }
  }

  // The weights of a column, zeros behind them; those of the spare bits of its last byte may lie
  // between.
  template <int32_t kBits>
  void DecodeRow(const GroupedColumns& weights, int32_t column, int8_t* to) const {
    constexpr int32_t kTable = kGroupTableBytes<kBits>;
    const int32_t depth = weights.depth, code_bytes = PackedBytes(depth, kBits);
    const uint8_t* codes = weights.weights + static_cast<size_t>(column) * weights.row_bytes;
    const uint8_t* numbers = codes + code_bytes;
    const auto table_at = [&](int32_t k) {
      return weights.tables + (numbers[k >> format.group_bits] & mask) * kTable;
    };
    const int32_t whole = depth / 16 * 16, group = 1 << format.group_bits;
    int32_t k = 0;
    while (k < whole) {
      const int8_t* table = table_at(k);
      const int32_t end = whole - k < group ? whole : k + group;
      for (; k + 32 <= end; k += 32) {
        Simd::template Decode32<kBits>(codes + (k >> 3) * kBits, table, to + k);
      }
      if (k < end) {
        Simd::template Decode16<kBits>(codes + (k >> 3) * kBits, table, to + k);
        k += 16;
      }
    }
    if (k < depth) {
      uint8_t last[2 * kBits] = {};
      const int32_t first = (k >> 3) * kBits;
      memcpy(last, codes + first, static_cast<size_t>(code_bytes - first));
      Simd::template Decode16<kBits>(last, table_at(k), to + k);
      k += 16;
    }
    memset(to + k, 0, static_cast<size_t>(product.plan.padded_depth - k));
  }
};

}  // namespace edgeax
