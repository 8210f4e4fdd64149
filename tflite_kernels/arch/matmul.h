#pragma once  // arch/matmul.h: rows of int8 times columns of weights, in blocks.

#include "tflite_kernels/arch/scratch.h"
#include "tflite_kernels/arch/steps.h"
#include "tflite_kernels/core/tensors.h"

// The driver that convolution and matrix product share on every instruction set, with weights of a
// codebook here and sparse ones in arch/sparse_matmul.h. A block of rows lies in scratch memory in
// the form that the instructions want; for each tile of columns the weights are decoded once into
// scratch and multiplied with all rows of the block.
//
// `Simd` is a struct of static functions and constants, see arch/avx2.h. It lies in an unnamed
// namespace, so that what is made of these templates for one instruction set stays in its own file.
namespace edgeax {

// `count` output channels and what follows their sums.
struct Columns {
  int32_t count;
  const int32_t* bias;
  const Requantization* factors;
  int32_t largest;  // no weight is farther from 0
};

// The same with rows of packed codes, of `depth` weights each.
struct CodebookColumns {
  Columns columns;
  const uint8_t* weights;  // first row
  const uint8_t* weights_end;
  int32_t bits;  // of a code
  int32_t row_bytes;
  int32_t depth;
  const NibbleTables* tables;
  const int32_t* weight_sums = nullptr;  // of the rows, where they are known
};

// Sizes and scratch layout of one product; both the size and the use of scratch follow from it.
struct MatMulPlan {
  int32_t padded_depth;
  int32_t block_rows;
  size_t left_bytes;   // rows of a block
  size_t right_bytes;  // a tile of decoded weights, or few rows in the order of the dot product
  size_t total_bytes;
};

// Scratch for the rows of a block stays within this, unless `Simd::kRows` rows are larger: it
// should lie in the second level cache and still be long enough to pay for the decoding.
constexpr size_t kLeftBytes = 384 * 1024;

template <typename Simd>
MatMulPlan PlanMatMul(int64_t rows, int32_t depth) {
  MatMulPlan plan;
  plan.padded_depth = (depth + Simd::kDepthStep - 1) / Simd::kDepthStep * Simd::kDepthStep;
  const size_t row_bytes = static_cast<size_t>(plan.padded_depth) * sizeof(typename Simd::Left);
  int64_t most = static_cast<int64_t>(kLeftBytes / row_bytes);
  if (most < Simd::kRows) most = Simd::kRows;
  const int64_t blocks = (rows + most - 1) / most;  // of about the same size
  const int64_t tiles = ((rows + blocks - 1) / blocks + Simd::kRows - 1) / Simd::kRows;
  plan.block_rows = static_cast<int32_t>(tiles * Simd::kRows);
  // PackLeft may write a whole step beyond the last row.
  const size_t spill = Simd::kDepthStep * sizeof(typename Simd::Left);
  plan.left_bytes = AlignedBytes(static_cast<size_t>(plan.block_rows) * row_bytes + spill);
  plan.right_bytes = AlignedBytes(static_cast<size_t>(plan.padded_depth) * Simd::kColumns *
                                  sizeof(typename Simd::Right));
  const size_t vector_bytes = AlignedBytes(Simd::kFewRows * Simd::VectorBytes(plan.padded_depth));
  if (vector_bytes > plan.right_bytes) plan.right_bytes = vector_bytes;
  plan.total_bytes = plan.left_bytes + plan.right_bytes + kScratchAlignment;
  return plan;
}

// sums int32 [rows][columns]; the codes of the next row go `stride` further. Instruction sets that
// do better for several rows have an overload.
template <typename Finish>
void StoreRows(const Finish& finish, const int32_t* sums, int32_t columns, int32_t rows,
               int8_t* output, size_t stride) {
  for (int32_t r = 0; r < rows; ++r) {
    finish.Store(sums + r * columns, output + static_cast<size_t>(r) * stride);
  }
}

template <typename Simd>
struct MatMul {
  using Left = typename Simd::Left;
  using Right = typename Simd::Right;

  MatMul(const MatMulPlan& plan, const Quantization& quantization, uint8_t* scratch)
      : plan(plan),
        quantization(quantization),
        left(reinterpret_cast<Left*>(AlignedStart(scratch))),
        right(reinterpret_cast<Right*>(AlignedStart(scratch) + plan.left_bytes)) {}

  const MatMulPlan& plan;
  const Quantization& quantization;
  Left* const left;    // [block_rows][padded_depth]
  Right* const right;  // one tile

  Left* LeftRow(int32_t row) const { return left + static_cast<size_t>(row) * plan.padded_depth; }

  // Makes the positions of a row beyond `depth` count as zero.
  void FinishLeftRow(int32_t row, int32_t depth) const {
    Simd::FillLeft(LeftRow(row) + depth, plan.padded_depth - depth, quantization);
  }

  // Multiplies the first `rows` rows of `left`. The codes of a row go to `output`, the next row
  // lies `stride` further.
  void Run(const CodebookColumns& weights, int32_t rows, int8_t* output, size_t stride) const {
    if (weights.bits == 1) return RunCodes<1>(weights, rows, output, stride);
    if (weights.bits == 2) return RunCodes<2>(weights, rows, output, stride);
    RunCodes<4>(weights, rows, output, stride);
  }

  template <int32_t kBits>
  void RunCodes(const CodebookColumns& weights, int32_t rows, int8_t* output, size_t stride) const {
    using CodebookRows = typename Simd::template CodebookRows<kBits>;
    const bool few = rows <= Simd::kFewRows;
    if (few) PackVectors<kBits>(rows);
    if constexpr (Simd::kHasWholeRows) {
      if (few && Simd::template ServesWholeRows<kBits>(weights)) {
        for (int32_t r = 0; r < rows; ++r) {
          Simd::template RunWholeRows<kBits>(Vector(r), weights, quantization,
                                             output + static_cast<size_t>(r) * stride);
        }
        return;
      }
    }
    const Columns& columns = weights.columns;
    for (int32_t c = 0; c < columns.count; c += Simd::kColumns) {
      const int32_t count = TileColumns(columns, c);
      const uint8_t* tile[Simd::kColumns];
      for (int32_t i = 0; i < Simd::kColumns; ++i) {
        // Columns beyond the last are computed and thrown away.
        tile[i] = weights.weights +
                  static_cast<size_t>(c + (i < count ? i : count - 1)) * weights.row_bytes;
      }
      if (few) {
        RunFewRows<kBits>(weights, tile, c, count, rows, output + c, stride);
      } else {
        RunTile(CodebookRows(tile, weights), columns, c, rows, output + c, stride);
      }
    }
  }

  static int32_t TileColumns(const Columns& columns, int32_t c) {
    const int32_t left_over = columns.count - c;
    return left_over < Simd::kColumns ? left_over : Simd::kColumns;
  }

  // The tile of columns that starts with column `c`, whose weights `tile` gives as Simd reads them.
  template <typename Rows>
  void RunTile(const Rows& tile, const Columns& columns, int32_t c, int32_t rows, int8_t* output,
               size_t stride) const {
    int32_t offsets[Simd::kColumns];
    Simd::PackRight(tile, plan.padded_depth, quantization, right, offsets);
    const typename Simd::Finish finish(columns.bias + c, columns.factors + c, offsets,
                                       TileColumns(columns, c), quantization);
    for (int32_t r = 0; r < rows; r += Simd::kRows) {
      const Left* row[Simd::kRows];
      for (int32_t i = 0; i < Simd::kRows; ++i) {
        row[i] = LeftRow(r + i < rows ? r + i : rows - 1);
      }
      int32_t sums[Simd::kRows * Simd::kColumns];
      Simd::Multiply(row, right, plan.padded_depth, columns.largest, sums);
      const int32_t left_over = rows - r;
      StoreRows(finish, sums, Simd::kColumns, left_over < Simd::kRows ? left_over : Simd::kRows,
                output + static_cast<size_t>(r) * stride, stride);
    }
  }

  Right* Vector(int32_t row) const {
    return right + row * (Simd::VectorBytes(plan.padded_depth) / sizeof(Right));
  }

  template <int32_t kBits>
  void PackVectors(int32_t rows) const {
    for (int32_t r = 0; r < rows; ++r) {
      Simd::template PackVector<kBits>(LeftRow(r), plan.padded_depth, quantization, Vector(r));
    }
  }

  // For so few rows that decoding a tile would cost more than it saves.
  template <int32_t kBits>
  void RunFewRows(const CodebookColumns& weights, const uint8_t* const* tile, int32_t c,
                  int32_t count, int32_t rows, int8_t* output, size_t stride) const {
    const Columns& columns = weights.columns;
    const int32_t offsets[Simd::kColumns] = {};
    const typename Simd::Finish finish(columns.bias + c, columns.factors + c, offsets, count,
                                       quantization);
    for (int32_t r = 0; r < rows; ++r) {
      int32_t sums[Simd::kColumns];
      Simd::template Dot<kBits>(Vector(r), tile, weights, quantization, sums);
      finish.Store(sums, output + static_cast<size_t>(r) * stride);
    }
  }
};

}  // namespace edgeax
