#pragma once  // arch/grouped_matmul.h: rows of int8 times columns of weights in groups.

#include "tflite_kernels/arch/matmul.h"
#include "tflite_kernels/core/grouped.h"

// The driver that convolution and matrix product with weights in groups share: a tile of columns is
// written out as int8 and multiplied as in arch/matmul.h, or, for few rows, dotted with each.
//
// `Simd` is a struct as in arch/matmul.h, whose steps of the depth are whole blocks of kBlock
// weights, with DecodeBlock and DotFour added, see arch/grouped_avx2.h.
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
        tables(format.bits == 4 ? tensors.codebook.data : StartOf(tensors.scratch)),
        tile(StartOf(tensors.scratch) + plan.tables_bytes),
        number_mask(CodebookMask(tensors, format)),
        largest(LargestOf(tensors.codebook)),
        product(plan.product, quantization, reinterpret_cast<uint8_t*>(tile) + plan.tile_bytes) {
    if (format.bits == 2) WriteCrumbTables(tensors.codebook, StartOf(tensors.scratch));
  }

  static int8_t* StartOf(Span<uint8_t> scratch) {
    return reinterpret_cast<int8_t*>(AlignedStart(scratch.data));
  }

  const GroupedFormat format;
  const int8_t* const tables;  // of nibbles, for each codebook
  int8_t* const tile;          // [columns][padded depth]
  const int32_t number_mask;   // of codebooks
  const int32_t largest;       // value of them
  const MatMul<Simd> product;

  // The columns that start with row `first` of the weights.
  GroupedColumns ColumnsFrom(const Tensors& tensors, int32_t depth, int32_t first,
                             int32_t count) const {
    const int32_t row_bytes = GroupedRowBytes(format, depth);
    return {{count, tensors.bias.data + first, tensors.requantization.data + first, largest},
            tensors.weights.data + static_cast<size_t>(first) * row_bytes,
            row_bytes,
            depth};
  }

  // Multiplies the first `rows` rows of `product`. The codes of a row go to `output`, the next row
  // lies `stride` further.
  void Run(const GroupedColumns& weights, int32_t rows, int8_t* output, size_t stride) const {
    if (format.bits == 2) return RunBits<2>(weights, rows, output, stride);
    RunBits<4>(weights, rows, output, stride);
  }

  // By how many groups a block has.
  template <int32_t kBits>
  void RunBits(const GroupedColumns& weights, int32_t rows, int8_t* output, size_t stride) const {
    constexpr int32_t kMostParts = Simd::kBlock >> kMinGroupBits;
    const int32_t parts = Simd::kBlock >> format.group_bits;
    if (parts == kMostParts) return RunParts<kBits, kMostParts>(weights, rows, output, stride);
    if (parts == 2) return RunParts<kBits, 2>(weights, rows, output, stride);
    RunParts<kBits, 1>(weights, rows, output, stride);
  }

  template <int32_t kBits, int32_t kParts>
  void RunParts(const GroupedColumns& weights, int32_t rows, int8_t* output, size_t stride) const {
    const Columns& columns = weights.columns;
    for (int32_t c = 0; c < columns.count; c += Simd::kColumns) {
      if (rows <= Simd::kFewRows) {
        RunFewRows<kBits, kParts>(weights, c, rows, output + c, stride);
        continue;
      }
      DecodeColumns<kBits, kParts>(weights, c, Simd::kColumns);
      product.RunTile(typename Simd::DenseRows{tile, product.plan.padded_depth}, columns, c, rows,
                      output + c, stride);
    }
  }

  // Writes `count` columns from column `c` on to the tile; those beyond the last are zeros, which
  // are computed and thrown away.
  template <int32_t kBits, int32_t kParts>
  void DecodeColumns(const GroupedColumns& weights, int32_t c, int32_t count) const {
    const ptrdiff_t pitch = product.plan.padded_depth;
    const int32_t left_over = weights.columns.count - c;
    const int32_t inside = left_over < count ? left_over : count;
    for (int32_t i = 0; i < inside; ++i) {
      DecodeRow<kBits, kParts>(weights, c + i, tile + i * pitch);
    }
    memset(tile + inside * pitch, 0, static_cast<size_t>((count - inside) * pitch));
  }

  // Four columns at a time, which stay in the first level cache.
  template <int32_t kBits, int32_t kParts>
  void RunFewRows(const GroupedColumns& weights, int32_t c, int32_t rows, int8_t* output,
                  size_t stride) const {
    const Columns& columns = weights.columns;
    const int32_t count = MatMul<Simd>::TileColumns(columns, c);
    int32_t sums[Simd::kFewRows][Simd::kColumns];
    for (int32_t i = 0; i < count; i += 4) {
      DecodeColumns<kBits, kParts>(weights, c + i, 4);
      for (int32_t r = 0; r < rows; ++r) {
        Simd::DotFour(product.LeftRow(r), tile, product.plan.padded_depth, product.quantization,
                      sums[r] + i);
      }
    }
    const int32_t offsets[Simd::kColumns] = {};
    const typename Simd::Finish finish(columns.bias + c, columns.factors + c, offsets, count,
                                       product.quantization);
    for (int32_t r = 0; r < rows; ++r) {
      finish.Store(sums[r], output + static_cast<size_t>(r) * stride);
    }
  }

  // The weights of a column in whole blocks; those beyond the last are any values of its codebook.
  template <int32_t kBits, int32_t kParts>
  void DecodeRow(const GroupedColumns& weights, int32_t column, int8_t* to) const {
    constexpr int32_t kBlock = Simd::kBlock, kTable = kGroupTableBytes<kBits>;
    // By value: what is written to bytes might be any member.
    const int32_t depth = weights.depth, group_bits = format.group_bits, mask = number_mask;
    const int8_t* const first_table = tables;
    const int32_t code_bytes = PackedBytes(depth, kBits);
    const uint8_t* codes = weights.weights + static_cast<size_t>(column) * weights.row_bytes;
    const uint8_t* numbers = codes + code_bytes;
    const int8_t* found[kParts];
    const auto find = [&](int32_t part, int32_t group) {
      found[part] = first_table + (numbers[group] & mask) * kTable;
    };
    const int32_t whole = depth / kBlock * kBlock;
    int32_t k = 0;
    for (; k < whole; k += kBlock) {
      for (int32_t i = 0; i < kParts; ++i) find(i, (k >> group_bits) + i);
      Simd::template DecodeBlock<kBits, kParts>(codes + (k >> 3) * kBits, found, to + k);
    }
    if (k == depth) return;
    const int32_t last_group = (depth - 1) >> group_bits;
    for (int32_t i = 0; i < kParts; ++i) {
      const int32_t group = (k >> group_bits) + i;
      find(i, group < last_group ? group : last_group);
    }
    uint8_t last[kBlock / 8 * kBits] = {};
    const int32_t first = (k >> 3) * kBits;
    memcpy(last, codes + first, static_cast<size_t>(code_bytes - first));
    Simd::template DecodeBlock<kBits, kParts>(last, found, to + k);
  }
};

}  // namespace edgeax
