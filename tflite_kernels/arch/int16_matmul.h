#pragma once  // arch/int16_matmul.h: rows of int16 times columns of weights, in blocks.

#include <string.h>

#include "tflite_kernels/arch/scratch.h"
#include "tflite_kernels/arch/steps.h"
#include "tflite_kernels/core/sparse.h"

// The driver of convolution and matrix product with int16 activations. A block of rows lies in
// scratch memory; for each tile of columns the weights are decoded once into int16 and multiplied
// with all rows of the block. Weights of a pair of depths lie beside each other, for instructions
// that multiply two pairs and add the products. For few rows they are decoded into registers.
//
// `Simd` is a struct of static functions and constants, see arch/int16_avx2.h; kDotStep is at most
// kInt16DepthStep * kColumns, so that there is room for a vector in whole steps.
namespace edgeax {
namespace {

// Depths that are multiplied in one go.
constexpr int32_t kInt16DepthStep = 8;

// Sizes and scratch layout of one product; both the size and the use of scratch follow from it.
struct Int16Plan {
  int32_t padded_depth;
  int32_t block_rows;
  size_t left_bytes;  // rows of a block
  size_t total_bytes;
};

// Scratch for the rows of a block stays within this, unless `Simd::kRows` rows are larger.
constexpr size_t kInt16LeftBytes = 256 * 1024;

template <typename Simd>
Int16Plan PlanInt16(int64_t rows, int32_t depth) {
  Int16Plan plan;
  plan.padded_depth = (depth + kInt16DepthStep - 1) / kInt16DepthStep * kInt16DepthStep;
  const size_t row_bytes = static_cast<size_t>(plan.padded_depth) * sizeof(int16_t);
  int64_t most = static_cast<int64_t>(kInt16LeftBytes / row_bytes);
  if (most < Simd::kRows) most = Simd::kRows;
  if (most > rows) most = rows;
  plan.block_rows = static_cast<int32_t>((most + Simd::kRows - 1) / Simd::kRows * Simd::kRows);
  plan.left_bytes = AlignedBytes(static_cast<size_t>(plan.block_rows) * row_bytes);
  const size_t right_bytes = AlignedBytes(row_bytes * Simd::kColumns);
  plan.total_bytes = plan.left_bytes + right_bytes + kScratchAlignment;
  return plan;
}

// What the codes in a byte stand for: pairs of weights, 4 / kBits of them.
template <int32_t kBits>
struct PairTables {
  static constexpr int32_t kPairs = 4 / kBits;  // in a byte

  explicit PairTables(Span<const int8_t> codebook) {
    for (int32_t byte = 0; byte < 256; ++byte) {
      const uint8_t row = static_cast<uint8_t>(byte);
      for (int32_t i = 0; i < 2 * kPairs; ++i) {
        weights[byte][i] = codebook.data[Unpack(&row, i, kBits)];
      }
    }
  }

  int16_t weights[256][2 * kPairs];
};

// `count` output channels and what follows their sums.
struct Int16Columns {
  int32_t count;
  const int32_t* bias;
  const Requantization* factors;
};

// The same with rows of packed codes.
struct Int16Codes {
  Int16Columns columns;
  const uint8_t* weights;  // first row
  int32_t row_bytes;
  Span<const int8_t> codebook;
};

// The same with sparse rows of `depth` weights, those from `first` on.
struct Int16SparseRows {
  Int16Columns columns;
  SparseFormat format;
  int32_t depth;
  const SparseWeights& weights;
  int32_t first;
};

// Rows of codes as they are decoded.
template <int32_t kBits>
struct Int16CodeRows {
  const Int16Codes& codes;
  const PairTables<kBits> tables;
};

// What follows the sums of up to kMost output channels: bias, scaling, clamp.
template <int32_t kMost>
struct Int16Finish {
  Int16Finish(const int32_t* biases, const Requantization* factors, int32_t count,
              const Quantization& quantization)
      : biases(biases),
        factors(factors),
        count(count),
        quantization(quantization),
        in_vectors(quantization.rounding == Rounding::kDouble) {
    for (int32_t i = 0; i < kMost; ++i) {
      const Requantization factor = i < count ? factors[i] : Requantization{0, 0};
      bias[i] = i < count ? biases[i] : 0;
      multiplier[i] = ReducedMultiplier(factor);
      right[i] = 15 - factor.shift;
      if (right[i] < 1) in_vectors = false;  // rare, and left to core/
      rounding[i] = in_vectors ? int64_t{1} << (right[i] - 1) : 0;
    }
  }

  // Writes `count` codes.
  void Store(const int64_t* sums, int16_t* output) const {
    if (!in_vectors) {
      for (int32_t i = 0; i < count; ++i) {
        output[i] = OutputCode(sums[i] + biases[i], factors[i], quantization);
      }
      return;
    }
    const int64_t low = quantization.output_min, high = quantization.output_max;
    int16_t codes[kMost];
    for (int32_t i = 0; i < kMost; ++i) {
      const int64_t code = ((sums[i] + bias[i]) * multiplier[i] + rounding[i]) >> right[i];
      codes[i] = static_cast<int16_t>(code < low ? low : code > high ? high : code);
    }
    memcpy(output, codes, static_cast<size_t>(count) * sizeof(int16_t));
  }

  const int32_t* biases;
  const Requantization* factors;
  int32_t count;
  Quantization quantization;
  bool in_vectors;  // which compilers make of the loop
  int64_t bias[kMost], multiplier[kMost], rounding[kMost], right[kMost];
};

template <typename Simd>
struct Int16MatMul {
  static constexpr int32_t kSums = Simd::kRows * Simd::kColumns;

  Int16MatMul(const Int16Plan& plan, const Quantization& quantization, uint8_t* scratch)
      : plan(plan),
        quantization(quantization),
        left(reinterpret_cast<int16_t*>(AlignedStart(scratch))),
        right(reinterpret_cast<int16_t*>(AlignedStart(scratch) + plan.left_bytes)) {}

  const Int16Plan& plan;
  const Quantization& quantization;
  int16_t* const left;   // [block_rows][padded_depth]
  int16_t* const right;  // one tile, [padded_depth / 2][Simd::kColumns][2]

  int16_t* LeftRow(int32_t row) const {
    return left + static_cast<size_t>(row) * plan.padded_depth;
  }

  // Makes the positions of a row beyond `depth` count as zero.
  void FinishLeftRow(int32_t row, int32_t depth) const {
    memset(LeftRow(row) + depth, 0,
           static_cast<size_t>(plan.padded_depth - depth) * sizeof(int16_t));
  }

  // Multiplies the first `rows` rows of `left`. The codes of a row go to `output`, the next row
  // lies `stride` further.
  void Run(const Int16Codes& codes, int32_t rows, int16_t* output, size_t stride) const {
    const int32_t bits = CodeBits(codes.codebook.size);
    if (bits == 1) return RunCodes<1>(codes, rows, output, stride);
    if (bits == 2) return RunCodes<2>(codes, rows, output, stride);
    RunCodes<4>(codes, rows, output, stride);
  }

  void Run(const Int16SparseRows& sparse, int32_t rows, int16_t* output, size_t stride) const {
    RunTiles(sparse, sparse.columns, kLargestWeight, rows, output, stride);
  }

  template <int32_t kBits>
  void RunCodes(const Int16Codes& codes, int32_t rows, int16_t* output, size_t stride) const {
    if (rows <= Simd::kFewRows) return RunFewRows<kBits>(codes, rows, output, stride);
    const Int16CodeRows<kBits> decoded = {codes, PairTables<kBits>(codes.codebook)};
    RunTiles(decoded, codes.columns, TablesOf(codes.codebook).largest, rows, output, stride);
  }

  template <typename Rows>
  void RunTiles(const Rows& weights, const Int16Columns& columns, int32_t largest, int32_t rows,
                int16_t* output, size_t stride) const {
    const int32_t most_pairs = MostPairs(largest);
    for (int32_t c = 0; c < columns.count; c += Simd::kColumns) {
      const int32_t left_over = columns.count - c;
      const int32_t count = left_over < Simd::kColumns ? left_over : Simd::kColumns;
      Decode(weights, c, count);
      const Int16Finish<Simd::kColumns> finish(columns.bias + c, columns.factors + c, count,
                                               quantization);
      for (int32_t r = 0; r < rows; r += Simd::kRows) {
        int64_t sums[kSums];
        SumRows(r, rows, most_pairs, sums);
        for (int32_t i = 0; i < Simd::kRows && r + i < rows; ++i) {
          finish.Store(sums + i * Simd::kColumns, output + c + static_cast<size_t>(r + i) * stride);
        }
      }
    }
  }

  // How many pairs of products fit an int32 sum, in whole steps: 2**15 * largest each.
  static int32_t MostPairs(int32_t largest) {
    constexpr int32_t kStep = kInt16DepthStep / 2;
    const int64_t pair = int64_t{2} * (1 << 15) * (largest > 0 ? largest : 1);
    return static_cast<int32_t>(INT32_MAX / pair / kStep * kStep);
  }

  // Each row of codes with each vector of `left`; these are copied into whole steps.
  template <int32_t kBits>
  void RunFewRows(const Int16Codes& all, int32_t rows, int16_t* output, size_t stride) const {
    const Int16Columns& columns = all.columns;
    const NibbleTables values = TablesOf(all.codebook);
    const typename Simd::template Tables<kBits> tables(values);
    const int32_t most_steps = MostPairs(values.largest) / Simd::kPairsOfStep;
    for (int32_t r = 0; r < rows; ++r) {
      memset(right, 0, static_cast<size_t>(VectorSize()) * sizeof(int16_t));
      memcpy(right, LeftRow(r), static_cast<size_t>(plan.padded_depth) * sizeof(int16_t));
      const uint8_t* row = all.weights;
      int16_t* codes = output + static_cast<size_t>(r) * stride;
      for (int32_t c = 0; c < columns.count; ++c, row += all.row_bytes) {
        const int64_t sum =
            Simd::template Dot<kBits>(right, row, all.row_bytes, tables, most_steps);
        codes[c] = OutputCode(sum + columns.bias[c], columns.factors[c], quantization);
      }
    }
  }

  int32_t VectorSize() const {
    constexpr int32_t kStep = Simd::kDotStep;
    return (plan.padded_depth + kStep - 1) / kStep * kStep;
  }

  template <int32_t kBits>
  void Decode(const Int16CodeRows<kBits>& rows, int32_t c, int32_t count) const {
    constexpr int32_t kPairs = PairTables<kBits>::kPairs;
    const Int16Codes& codes = rows.codes;
    const uint8_t* row[Simd::kColumns];
    for (int32_t i = 0; i < Simd::kColumns; ++i) {
      // Columns beyond the last are computed and thrown away.
      row[i] =
          codes.weights + static_cast<size_t>(c + (i < count ? i : count - 1)) * codes.row_bytes;
    }
    int16_t* to = right;
    for (int32_t byte = 0; byte < codes.row_bytes; ++byte) {
      for (int32_t i = 0; i < Simd::kColumns; ++i) {
        const int16_t* weights = rows.tables.weights[row[i][byte]];
        for (int32_t j = 0; j < kPairs; ++j) {
          memcpy(to + 2 * (j * Simd::kColumns + i), weights + 2 * j, 2 * sizeof(int16_t));
        }
      }
      to += 2 * kPairs * Simd::kColumns;
    }
    // Where rows are longer than their codes there are zeros on the left.
    const int16_t* end = right + static_cast<size_t>(plan.padded_depth) * Simd::kColumns;
    if (to < end) memset(to, 0, static_cast<size_t>(end - to) * sizeof(int16_t));
  }

  void Decode(const Int16SparseRows& rows, int32_t c, int32_t count) const {
    memset(right, 0, static_cast<size_t>(plan.padded_depth) * Simd::kColumns * sizeof(int16_t));
    const int32_t block = rows.format.block;
    for (int32_t i = 0; i < count; ++i) {
      const int32_t number = rows.first + c + i;
      const int8_t* values = rows.weights.values.data + rows.weights.starts.data[number].value;
      SparseCursor row = SparseRow(rows.format, rows.depth, rows.weights, number);
      for (; NextPlace(&row); values += block) {
        const int32_t first = row.place * block;
        const int32_t left_over = rows.depth - first;
        for (int32_t j = 0; j < (left_over < block ? left_over : block); ++j) {
          const size_t pair = static_cast<size_t>(first + j) / 2;
          right[2 * (pair * Simd::kColumns + i) + (first + j) % 2] = values[j];
        }
      }
    }
  }

  // The sums of Simd::kRows rows from row `r` on, int64 [rows][columns].
  void SumRows(int32_t r, int32_t rows, int32_t most_pairs, int64_t* sums) const {
    const int32_t pairs = plan.padded_depth / 2;
    for (int32_t first = 0; first < pairs; first += most_pairs) {
      const int32_t left_over = pairs - first;
      const int16_t* row[Simd::kRows];
      for (int32_t i = 0; i < Simd::kRows; ++i) {
        row[i] = LeftRow(r + i < rows ? r + i : rows - 1) + 2 * first;
      }
      int32_t some[kSums];
      Simd::Multiply(row, right + static_cast<size_t>(2) * first * Simd::kColumns,
                     left_over < most_pairs ? left_over : most_pairs, some);
      if (first == 0) {
        for (int32_t i = 0; i < kSums; ++i) sums[i] = some[i];
      } else {
        for (int32_t i = 0; i < kSums; ++i) sums[i] += some[i];
      }
    }
  }
};

}  // namespace
}  // namespace edgeax
