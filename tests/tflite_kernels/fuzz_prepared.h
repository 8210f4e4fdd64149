#pragma once  // fuzz_prepared.h: what a caller may have made of weights before a call.

#include <vector>

#include "tests/tflite_kernels/fuzz_call.h"
#include "tflite_kernels/core/balanced.h"

namespace {

// Sums of the rows of packed weights, where the call has them and the rows are whole.
struct WeightSums {
  WeightSums(const Setting& setting, Span<const uint8_t> weights, Span<const int8_t> codebook,
             const Sizes& sizes)
      : sums(IsWhole(setting, weights, codebook, sizes) ? static_cast<size_t>(sizes.rows) : 0) {
    if (sums.size() == 0) return;
    const int32_t bits = edgeax::CodeBits(codebook.size), depth = static_cast<int32_t>(sizes.row);
    SumRows(weights, codebook, depth, sums.span());
    const uint8_t* row = weights.data;
    for (size_t r = 0; r < sums.size(); ++r, row += edgeax::PackedBytes(depth, bits)) {
      for (int32_t i = 0; i < depth; ++i) sums[r] -= codebook.data[edgeax::Unpack(row, i, bits)];
      Expect(sums[r] == 0, "prepared", "sums a row wrongly");
    }
    SumRows(weights, codebook, depth, sums.span());
  }

  static bool IsWhole(const Setting& setting, Span<const uint8_t> weights,
                      Span<const int8_t> codebook, const Sizes& sizes) {
    const int32_t bits = edgeax::CodeBits(codebook.size);
    if (!setting.prepares || bits == 0) return false;
    const int64_t row = edgeax::PackedBytes(static_cast<int32_t>(sizes.row), bits);
    return edgeax::HasSize(weights.size, CheckedProduct(sizes.rows, row));
  }

  Exact<int32_t> sums;
};

// Sparse rows in the order of core/balanced.h, where the call has them and that order can hold
// them.
struct Balanced {
  Balanced(bool is_wanted, const edgeax::SparseFormat& format, int32_t rows, int32_t depth,
           const edgeax::SparseWeights& weights)
      : bytes(is_wanted ? edgeax::BalancedSize(rows, depth) : 0),
        sums(is_wanted ? static_cast<size_t>(rows) : 0),
        is_written(is_wanted &&
                   WriteBalanced(format, rows, depth, weights, bytes.span(), sums.span())) {
    if (!is_written) return;
    for (int32_t r = 0; r < rows; ++r) ExpectRightRow(format, r, depth, weights);
  }

  edgeax::BalancedWeights view() const {
    return is_written ? edgeax::BalancedWeights{bytes.view(), sums.view()}
                      : edgeax::BalancedWeights{};
  }

  Exact<uint8_t> bytes;
  Exact<int32_t> sums;
  bool is_written;

 private:
  void ExpectRightRow(const edgeax::SparseFormat& format, int32_t r, int32_t depth,
                      const edgeax::SparseWeights& weights) {
    constexpr int32_t kGroup = edgeax::kBalancedGroup, kLeft = edgeax::kBalancedLeft;
    const int32_t steps = edgeax::BalancedSteps(depth);
    std::vector<int32_t> missing(static_cast<size_t>(steps) * 2 * kGroup);
    int32_t sum = 0;
    const int8_t* values = weights.values.data + weights.starts.data[r].value;
    edgeax::SparseCursor cursor = SparseRow(format, depth, weights, r);
    for (; NextPlace(&cursor); values += format.block) {
      const int32_t first = cursor.place * format.block;
      for (int32_t i = 0; i < format.block && first + i < depth; ++i) {
        missing[static_cast<size_t>(first + i)] += values[i];
        sum += values[i];
      }
    }
    const uint8_t* step = bytes.view().data + static_cast<size_t>(r / edgeax::kBalancedRows) *
                                                  static_cast<size_t>(steps) *
                                                  edgeax::kBalancedBytes;
    for (int32_t* group = missing.data(); group != missing.data() + missing.size();
         group += 2 * kGroup, step += edgeax::kBalancedBytes) {
      for (int32_t i = r % edgeax::kBalancedRows * kLeft, end = i + kLeft; i < end; ++i) {
        group[step[i] & 15] -= static_cast<int8_t>(step[16 + i]);
        group[kGroup + (step[i] >> 4)] -= static_cast<int8_t>(step[32 + i]);
      }
    }
    for (int32_t weight : missing) Expect(weight == 0, "prepared", "balances a row wrongly");
    Expect(sums[static_cast<size_t>(r)] == sum, "prepared", "sums a sparse row wrongly");
  }
};

}  // namespace
