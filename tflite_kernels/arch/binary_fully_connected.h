#pragma once  // arch/binary_fully_connected.h: binary matrix product on the driver of
              // arch/binary_matmul.h.

#include "tflite_kernels/arch/binary_matmul.h"
#include "tflite_kernels/core/binary_fully_connected.h"

namespace edgeax {

// Up to so many rows are compared with the weights where these lie: to order them would cost more.
constexpr int32_t kFewBinaryRows = 3;

template <typename Simd>
Status PlanBinaryFullyConnected(const BinaryFullyConnectedArgs& args, BinaryPlan* plan) {
  const Status status = CheckBinaryFullyConnected(args);
  if (status != Status::kOk) return status;
  const FullyConnectedArgs& shape = args.fully_connected;
  *plan = PlanBinary<Simd>(shape.rows, 1, shape.depth);
  if (shape.rows <= kFewBinaryRows) {  // words as they are
    plan->row_bytes = static_cast<size_t>(plan->words) * kWordBytes;
    plan->left_bytes = AlignedBytes(static_cast<size_t>(shape.rows) * plan->row_bytes);
    plan->total_bytes = plan->left_bytes + kScratchAlignment;
  }
  return Status::kOk;
}

template <typename Simd>
Status BinaryFullyConnectedScratchBytesOn(const BinaryFullyConnectedArgs& args, size_t* bytes) {
  BinaryPlan plan;
  const Status status = PlanBinaryFullyConnected<Simd>(args, &plan);
  *bytes = status == Status::kOk ? plan.total_bytes : 0;
  return status;
}

// The same with words as they are, for rows that are compared with weights where these lie.
template <typename Simd>
struct PlainWords : Simd {
  static constexpr int32_t kLeftWordBytes = kWordBytes;
  static void StoreWord(uint64_t word, uint8_t* to) { memcpy(to, &word, kWordBytes); }
};

// Bits of a row that differ from a row of weights, of those beyond whole words.
static inline int32_t CountLast(const uint8_t* row, const uint8_t* weights, int32_t depth,
                                const uint8_t* end) {
  const int32_t whole = depth / kWordBits;
  if (whole * kWordBits == depth) return 0;
  const uint64_t x = LoadWord(row + whole * kWordBytes, row + (whole + 1) * kWordBytes);
  const uint64_t w = LoadWord(weights + whole * kWordBytes, end) & LastMask(depth);
  return __builtin_popcountll(x ^ w);
}

// Bits of a row that differ from a row of weights.
template <typename Simd>
int32_t CountDifferences(const uint8_t* row, const uint8_t* weights, int32_t depth,
                         const uint8_t* end) {
  const int32_t count = Simd::CountWords(row, weights, depth / kWordBits);
  return count + CountLast(row, weights, depth, end);
}

// Twice the bits of a row that differ from eight rows of weights.
template <typename Simd>
void CountEightDifferences(const uint8_t* row, const uint8_t* weights, const BinaryColumns& columns,
                           typename Simd::Difference* differences) {
  const int32_t depth = columns.tap_bits, row_bytes = RowBytes(columns);
  Simd::CountEight(row, weights, row_bytes, depth / kWordBits, differences);
  for (int32_t i = 0; i < 8; ++i, weights += row_bytes) {
    differences[i] += CountLast(row, weights, depth, columns.weights_end);
    differences[i] *= 2;
  }
}

template <typename Simd>
void RunFewBinaryRows(const BinaryColumns& columns, const BinaryMatMul<Simd>& product, int32_t rows,
                      const BinaryForm& form, const Quantization& quantization, int8_t* output,
                      size_t stride) {
  for (int32_t c = 0; c < columns.count; c += Simd::kColumns) {
    const BinaryFinish<Simd> finish(columns, c, form, quantization);
    for (int32_t r = 0; r < rows; ++r) {
      typename Simd::Difference differences[Simd::kColumns] = {};
      const uint8_t* weights = columns.weights + static_cast<size_t>(c) * RowBytes(columns);
      int32_t i = 0;
      if constexpr (Simd::kCountsEight) {
        for (; i + 8 <= finish.count; i += 8, weights += 8 * RowBytes(columns)) {
          CountEightDifferences<Simd>(product.LeftRow(r), weights, columns, differences + i);
        }
      }
      for (; i < finish.count; ++i, weights += RowBytes(columns)) {
        differences[i] = 2 * CountDifferences<Simd>(product.LeftRow(r), weights, columns.tap_bits,
                                                    columns.weights_end);
      }
      finish.Store(differences, 1, c, output + static_cast<size_t>(r) * stride, stride);
    }
  }
}

template <typename Simd>
Status BinaryFullyConnectedOn(const BinaryFullyConnectedArgs& args, const BinaryTensors& tensors) {
  BinaryPlan plan;
  Status status = PlanBinaryFullyConnected<Simd>(args, &plan);
  if (status == Status::kOk) status = CheckBinaryFullyConnected(args, tensors);
  if (status != Status::kOk) return status;
  if (tensors.scratch.size < plan.total_bytes) return Status::kBadScratch;
  const FullyConnectedArgs& shape = args.fully_connected;
  const BinaryMatMul<Simd> product(plan, tensors.scratch.data);
  const BinaryColumns columns = {shape.outputs,
                                 tensors.bias.data,
                                 tensors.requantization.data,
                                 tensors.weights.data,
                                 tensors.weights.data + tensors.weights.size,
                                 1,
                                 shape.depth};
  const size_t input_bytes = static_cast<size_t>(BinaryBytes(args.form.input_packed, shape.depth));
  const size_t stride = static_cast<size_t>(BinaryBytes(args.form.output_packed, shape.outputs));
  const int8_t* end = tensors.input.data + tensors.input.size;
  const bool is_few = shape.rows <= kFewBinaryRows;
  const Range range = RangeOf(shape.rows, 1, tensors.share);
  for (int32_t first = range.begin; first < range.end; first += plan.block_rows) {
    const int32_t left_over = range.end - first;
    const int32_t rows = left_over < plan.block_rows ? left_over : plan.block_rows;
    const int8_t* input = tensors.input.data + static_cast<size_t>(first) * input_bytes;
    int8_t* output = tensors.output.data + static_cast<size_t>(first) * stride;
    for (int32_t r = 0; r < rows; ++r, input += input_bytes) {
      uint8_t* row = product.LeftRow(r);
      if (is_few) {
        PackNumbers<PlainWords<Simd>>(input, 0, shape.depth, end, args.form, shape.quantization,
                                      row);
      } else {
        PackNumbers<Simd>(input, 0, shape.depth, end, args.form, shape.quantization, row);
        if constexpr (Simd::kFolds) Simd::FoldRow(row, plan.words);
      }
    }
    if (is_few) {
      RunFewBinaryRows(columns, product, rows, args.form, shape.quantization, output, stride);
    } else {
      NoCorrection<Simd> none;
      product.Run(columns, rows, args.form, shape.quantization, &none, 0, output, stride);
    }
  }
  return Status::kOk;
}

}  // namespace edgeax
